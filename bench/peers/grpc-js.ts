import { credentials } from '@grpc/grpc-js';
import { wire } from 'liftbridge-client/protocol';
import { APIClient } from '../../test/support/grpc-js-api.js';
import { type Peer, pipeline, servePeer } from '../peer.js';

/** A bare loop over grpc-js with generated codecs: what one writes without this client. */
servePeer(async (address): Promise<Peer> => {
  const client = new APIClient(address.split(',')[0]!, credentials.createInsecure());
  return {
    async publish({ stream, messages, size, inFlight, partitions }) {
      const value = Buffer.alloc(size, 'v');
      const waiting = new Map<string, () => void>();
      const call = client.publishAsync();
      call.on('data', (response: wire.PublishResponse) => {
        const id = response.ack!.correlationId;
        const acknowledged = waiting.get(id)!;
        waiting.delete(id);
        acknowledged();
      });
      await pipeline(messages, inFlight, (index, acknowledged) => {
        const correlationId = `bench-${index.toString(36)}`;
        waiting.set(correlationId, acknowledged);
        const partition = index % partitions;
        call.write({
          key: NOTHING,
          value,
          stream,
          partition,
          headers: NONE,
          ackInbox: '',
          correlationId,
          ackPolicy: 0,
          expectedOffset: -1n,
        });
      });
      await new Promise<void>((resolve) => {
        call.on('end', resolve);
        call.end();
      });
    },
    async subscribe({ stream, messages }) {
      const call = client.subscribe(
        wire.SubscribeRequest.fromPartial({ stream, startPosition: wire.StartPosition.EARLIEST }),
      );
      call.on('error', () => call.destroy());
      let read = 0;
      for await (const message of call) if ((message as wire.Message).value.length > 0 && ++read === messages) break;
      call.cancel();
    },
    close: async () => client.close(),
  };
});

const NOTHING = new Uint8Array(0);
const NONE = new Map<string, Uint8Array>();
