import { type ClientHttp2Stream, connect } from 'node:http2';
import {
  ByteWriter,
  beginFrame,
  decodeMessage,
  decodePublishResponse,
  emptyMessage,
  encodePublishRequest,
  endFrame,
  FrameSplitter,
  frame,
  wire,
} from 'liftbridge-client/protocol';
import { type Peer, pipeline, servePeer } from '../peer.js';

const LARGEST = 8 * 1024 * 1024;
const FULL = 64 * 1024;

/** A bare loop over node:http2 with packed frames and hand-written codecs: the limit of what a client on Node can reach. */
servePeer(async (address): Promise<Peer> => {
  const session = connect(`http://${address.split(',')[0]}`, {
    settings: { initialWindowSize: 1024 * 1024 },
    maxSessionMemory: 1024,
  });
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  session.setLocalWindowSize(16 * 1024 * 1024);
  const open = (method: string): ClientHttp2Stream =>
    session.request({
      ':method': 'POST',
      ':path': `/proto.API/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
  return {
    async publish({ stream, messages, size, inFlight, partitions, ackPolicy }) {
      const value = Buffer.alloc(size, 'v');
      const waiting = new Map<string, () => void>();
      const call = open('PublishAsync');
      const splitter = new FrameSplitter(LARGEST);
      const writer = new ByteWriter();
      let scheduled = false;
      const flush = (): void => {
        scheduled = false;
        if (writer.length > 0) call.write(writer.take());
      };
      call.on('data', (chunk: Buffer) =>
        splitter.push(chunk, (source, start, end) => {
          const id = decodePublishResponse(source, start, end).ack!.correlationId;
          const acknowledged = waiting.get(id)!;
          waiting.delete(id);
          acknowledged();
        }),
      );
      await pipeline(messages, inFlight, (index, acknowledged) => {
        const correlationId = `bench-${index.toString(36)}`;
        waiting.set(correlationId, acknowledged);
        const opened = beginFrame(writer);
        const partition = index % partitions;
        encodePublishRequest(writer, {
          key: null,
          value,
          stream,
          partition,
          headers: null,
          ackInbox: '',
          correlationId,
          ackPolicy: ackPolicy === 'all' ? wire.AckPolicy.ALL : wire.AckPolicy.LEADER,
          expectedOffset: -1n,
        });
        endFrame(writer, opened);
        if (writer.length >= FULL) flush();
        else if (!scheduled) {
          scheduled = true;
          process.nextTick(flush);
        }
      });
      await new Promise<void>((resolve) => {
        call.on('end', resolve);
        call.end();
      });
    },
    async subscribe({ stream, messages }) {
      const call = open('Subscribe');
      const splitter = new FrameSplitter(LARGEST);
      let read = 0;
      call.end(
        frame(wire.SubscribeRequest.encode(wire.SubscribeRequest.fromPartial({ stream, startPosition: 2 })).finish()),
      );
      await new Promise<void>((resolve) => {
        call.on('data', (chunk: Buffer) =>
          splitter.push(chunk, (source, start, end) => {
            const message = decodeMessage(source, start, end, emptyMessage());
            if (message.value !== null && ++read === messages) resolve();
          }),
        );
      });
      call.close(8);
    },
    close: async () => session.close(),
  };
});
