import { connect } from 'liftbridge-client';
import { type Peer, pipeline, servePeer } from '../peer.js';

/** This client, by a promise for each publish, and by batches when reading. */
servePeer(async (address): Promise<Peer> => {
  const client = await connect(address.split(','));
  return {
    publish({ stream, messages, size, inFlight, partitions }) {
      const value = Buffer.alloc(size, 'v');
      const options = Array.from({ length: partitions }, (_, partition) =>
        partitions === 1 ? undefined : { partition },
      );
      return pipeline(messages, inFlight, (index, acknowledged) => {
        client.publish(stream, value, options[index % partitions]).then(() => acknowledged(), acknowledged);
      });
    },
    async subscribe({ stream, messages }) {
      let read = 0;
      const subscription = await client.subscribe(stream, { startAt: 'earliest' });
      for await (const batch of subscription.batches()) {
        for (const message of batch) if (message.value !== null) read++;
        if (read >= messages) break;
      }
    },
    close: () => client.close(),
  };
});
