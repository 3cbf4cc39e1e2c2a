import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, connect, type LiftbridgeError } from '../../src/index.js';
import { WireError } from '../../src/protocol/wire-reader.js';
import { frame } from '../../src/transport/frames.js';
import { type PartitionState, readingPeer } from '../support/reading-peer.js';
import { answer, GRPC_HEADERS, type ScriptedPeer } from '../support/scripted-peer.js';

/** Field 1 with a length that exceeds the bytes. */
const MALFORMED = Uint8Array.of(0x0a, 0x7f, 1, 2, 3);

let peer: ScriptedPeer;
let client: Client;
let state: PartitionState;

beforeEach(async () => {
  state = { highWatermark: 4n, newestOffset: 4n, isr: ['a'] };
  peer = await readingPeer(state, (_request, stream) => {
    stream.respond(GRPC_HEADERS, { waitForTrailers: true });
    stream.write(Buffer.concat([frame(new Uint8Array(0)), frame(MALFORMED)]));
  });
  client = await connect(`${peer.host}:${peer.port}`, { resubscribeTimeout: 300, ackTimeout: 300 });
});

afterEach(async () => {
  await client.close({ timeout: 50 });
  await peer.close();
});

const failureOf = (call: Promise<unknown>) =>
  call.then(
    () => expect.unreachable(),
    (error: LiftbridgeError) => error,
  );

/** The causes of an error, outermost first. */
function causes(error: unknown): unknown[] {
  const found: unknown[] = [];
  for (let next = error; next instanceof Error; next = next.cause) found.push(next);
  return found;
}

describe('a response that is not valid protobuf', () => {
  it('ends a subscription with its position, and the error of the decoder as the cause', async () => {
    const subscription = await client.subscribe('orders', { startAt: 'earliest' });
    const error = await failureOf(
      (async () => {
        for await (const _message of subscription) expect.unreachable();
      })(),
    );
    expect(error).toMatchObject({ code: 'CONNECTION', stream: 'orders', partition: 0 });
    expect(causes(error).some((cause) => cause instanceof WireError)).toBe(true);
  });

  it('fails a publish with its stream and partition, and the error of the decoder as the cause', async () => {
    peer.script = (stream, headers) => {
      if (!String(headers[':path']).endsWith('/PublishAsync')) return false;
      stream.respond(GRPC_HEADERS, { waitForTrailers: true });
      stream.on('data', () => stream.write(frame(MALFORMED)));
      return true;
    };
    const error = await failureOf(client.publish('orders', 'x', { timeout: 300 }));
    expect(error).toMatchObject({ stream: 'orders', partition: 0, operation: 'Publish' });
    expect(causes(error).some((cause) => cause instanceof WireError)).toBe(true);
  });

  it.each([
    ['fetchMetadata', '/FetchMetadata', () => client.fetchMetadata()],
    ['fetchPartitionMetadata', '/FetchPartitionMetadata', () => client.fetchPartitionMetadata('orders', 0)],
    ['createStream', '/CreateStream', () => client.createStream('other', 'other')],
  ] as const)('fails %s with an error about a response that cannot be decoded', async (_name, path, call) => {
    peer.script = (stream, headers) => {
      if (!String(headers[':path']).endsWith(path)) return false;
      answer(stream, [MALFORMED]);
      return true;
    };
    const error = await failureOf(call());
    expect(error).toMatchObject({ code: 'SERVER', status: 'INTERNAL' });
    expect(error.message).toContain('cannot be decoded');
    expect(causes(error).length).toBeGreaterThan(1);
  });
});
