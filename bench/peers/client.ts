import { connect } from 'liftbridge-client';
import { type Peer, pipeline, servePeer } from '../peer.js';

/** This client, by callback. */
servePeer(async (address): Promise<Peer> => {
  const client = await connect(address.split(','));
  return {
    publish({ stream, messages, size, inFlight, partitions, ackPolicy }) {
      const value = Buffer.alloc(size, 'v');
      const options = Array.from({ length: partitions }, (_, partition) =>
        partitions === 1 && ackPolicy === undefined ? undefined : { partition, ackPolicy },
      );
      return pipeline(messages, inFlight, (index, acknowledged) => {
        client.publishAsync(stream, value, acknowledged, options[index % partitions]);
      });
    },
    async subscribe({ stream, messages }) {
      let read = 0;
      for await (const message of await client.subscribe(stream, { startAt: 'earliest' })) {
        if (message.value !== null && ++read === messages) break;
      }
    },
    close: () => client.close(),
  };
});
