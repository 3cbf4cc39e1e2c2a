/**
 * The server that all peers are measured against, in a process of its own: it acknowledges publishes and delivers
 * messages as cheaply as it can, and always the same. What a stream is called says what is in it:
 * `bench-PARTITIONS-COUNT-SIZE`.
 */
import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import {
  ByteWriter,
  beginFrame,
  decodePublishRequest,
  emptyMessage,
  encodeMessage,
  encodePublishResponse,
  endFrame,
  FrameSplitter,
  frame,
  wire,
} from 'liftbridge-client/protocol';

const LARGEST = 8 * 1024 * 1024;
const BATCH = 256 * 1024;

function shapeOf(stream: string): { partitions: number; count: number; size: number } {
  const [, partitions = '1', count = '0', size = '0'] = stream.split('-');
  return { partitions: Number(partitions), count: Number(count), size: Number(size) };
}

function respond(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
}

/** Acknowledges what came in a chunk with one write. */
function publishAsync(stream: ServerHttp2Stream): void {
  const writer = new ByteWriter();
  let offset = 0n;
  const acknowledge = (source: Buffer, start: number, end: number): void => {
    const request = decodePublishRequest(source, start, end);
    const opened = beginFrame(writer);
    encodePublishResponse(writer, {
      ack: {
        stream: request.stream,
        partitionSubject: 'bench.subject',
        msgSubject: 'bench.subject',
        offset: offset++,
        ackInbox: 'liftbridge-default.ack.0123456789abcdefghijkl',
        correlationId: request.correlationId,
        ackPolicy: 0,
        receptionTimestamp: 1_700_000_000_000_000_001n,
        commitTimestamp: 1_700_000_000_000_100_001n,
        ackError: 0,
      },
      asyncError: undefined,
      correlationId: request.correlationId,
    });
    endFrame(writer, opened);
  };
  respond(stream);
  const splitter = new FrameSplitter(LARGEST);
  stream.on('data', (chunk: Buffer) => {
    splitter.push(chunk, acknowledge);
    if (writer.length > 0) stream.write(writer.take());
  });
  stream.on('end', () => stream.end());
}

/** Batches of messages of one size; offsets are right as long as they have the width of the first. */
function subscribe(stream: ServerHttp2Stream, request: wire.SubscribeRequest): void {
  const { count, size } = shapeOf(request.stream);
  const value = Buffer.alloc(size, 'v');
  const headers: [string, Uint8Array][] = [
    ['reply', new Uint8Array(0)],
    ['subject', Buffer.from('bench.subject')],
  ];
  const writer = new ByteWriter(BATCH * 2);
  let next = 0;
  respond(stream);
  stream.write(frame(new Uint8Array(0)));
  const fill = (): void => {
    for (;;) {
      while (next < count && writer.length < BATCH) {
        const opened = beginFrame(writer);
        const message = {
          ...emptyMessage(),
          stream: request.stream,
          subject: 'bench.subject',
          value,
          headers,
          ackPolicy: 0 as const,
        };
        encodeMessage(writer, {
          ...message,
          offset: BigInt(next++),
          timestamp: 1_700_000_000_000_000_000n + BigInt(next),
        });
        endFrame(writer, opened);
      }
      if (writer.length === 0) return;
      if (!stream.write(writer.take())) return;
    }
  };
  stream.on('drain', fill);
  fill();
}

function partitionOf(id: number, newest: bigint): wire.PartitionMetadata {
  return wire.PartitionMetadata.fromPartial({
    id,
    leader: 'sink',
    replicas: ['sink'],
    isr: ['sink'],
    highWatermark: newest,
    newestOffset: newest,
  });
}

function metadataOf({ streams }: wire.FetchMetadataRequest, port: number): Uint8Array {
  const streamMetadata = streams.map((name) => {
    const { partitions } = shapeOf(name);
    const all = Array.from({ length: partitions }, (_, id) => [id, partitionOf(id, -1n)] as const);
    return { name, subject: 'bench.subject', error: 0 as const, partitions: new Map(all), creationTimestamp: 1n };
  });
  const brokers = [{ id: 'sink', host: '127.0.0.1', port, partitionCount: 1, leaderCount: 1 }];
  return wire.FetchMetadataResponse.encode({ brokers, streamMetadata, groupMetadata: [] }).finish();
}

/** Every other call: one message in, one out. */
function unary(stream: ServerHttp2Stream, answer: (payload: Buffer) => void): void {
  const splitter = new FrameSplitter(LARGEST);
  stream.on('data', (chunk: Buffer) =>
    splitter.push(chunk, (source, start, end) => answer(source.subarray(start, end))),
  );
}

const server = createServer({ settings: { initialWindowSize: 4 * 1024 * 1024 } });
server.on('session', (session) => session.setLocalWindowSize(16 * 1024 * 1024));
server.on('stream', (stream, headers) => {
  stream.on('error', () => stream.destroy());
  const { port } = server.address() as AddressInfo;
  const reply = (payload: Uint8Array): void => {
    respond(stream);
    stream.end(frame(payload));
  };
  switch (headers[':path']) {
    case '/proto.API/PublishAsync':
      publishAsync(stream);
      return;
    case '/proto.API/Subscribe':
      unary(stream, (payload) => subscribe(stream, wire.SubscribeRequest.decode(payload)));
      return;
    case '/proto.API/FetchMetadata':
      unary(stream, (payload) => reply(metadataOf(wire.FetchMetadataRequest.decode(payload), port)));
      return;
    case '/proto.API/FetchPartitionMetadata':
      unary(stream, (payload) => {
        const { partition } = wire.FetchPartitionMetadataRequest.decode(payload);
        reply(wire.FetchPartitionMetadataResponse.encode({ metadata: partitionOf(partition, -1n) }).finish());
      });
      return;
    default:
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' }, { endStream: true });
  }
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));
