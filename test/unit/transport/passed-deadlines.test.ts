import { constants } from 'node:http2';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { definitionOf } from '../../../src/cluster/unary-calls.js';
import { DataSession } from '../../../src/transport/duplex.js';
import { RpcFailure } from '../../../src/transport/status.js';
import { UnaryChannel } from '../../../src/transport/unary.js';
import { answerTrailersOnly, type CallScript, ScriptedPeer } from '../../support/scripted-peer.js';

const clock = vi.hoisted(() => ({ ahead: 0 }));

vi.mock('../../../src/async/clock.js', async (original) => {
  const { monotonicNow, wallNow } = await original<typeof import('../../../src/async/clock.js')>();
  return { monotonicNow: () => monotonicNow() + clock.ahead, wallNow };
});

/** Milliseconds: so long that no timer of these tests fires. */
const LONG = 600_000;
const open: { close(): unknown }[] = [];

beforeEach(() => {
  clock.ahead = 0;
});

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

function opened<T extends { close(): unknown }>(one: T): T {
  open.push(one);
  return one;
}

/** How servers in Go end a call whose deadline has passed. */
const endings: [string, CallScript][] = [
  ['resets the stream with CANCEL', (stream) => stream.close(constants.NGHTTP2_CANCEL)],
  ['answers CANCELLED', (stream) => answerTrailersOnly(stream, 1, 'context canceled')],
];

describe.each(endings)('a server that %s', (_, ending) => {
  /** Ends the call once `meanwhile` milliseconds have passed by the clock of the client. */
  const peerAfter = async (meanwhile: number) =>
    opened(
      await ScriptedPeer.start((stream, headers) => {
        clock.ahead += meanwhile;
        ending(stream, headers);
      }),
    );

  async function streamEnd(meanwhile: number, timeout?: number) {
    const { host, port } = await peerAfter(meanwhile);
    const session = opened(new DataSession({ host, port }));
    await session.connect();
    const stream = session.open('/x', { timeout });
    stream.onFrames(() => undefined);
    return await stream.ended;
  }

  async function callFailure(meanwhile: number) {
    const { host, port } = await peerAfter(meanwhile);
    const channel = opened(new UnaryChannel({ host, port }));
    const call = channel.call(definitionOf('fetchMetadata'), { streams: [], groups: [] }, { timeout: LONG });
    return await call.catch((error: unknown) => error);
  }

  it('ends a stream as DEADLINE_EXCEEDED when the deadline has passed', async () => {
    expect(await streamEnd(LONG, LONG)).toMatchObject({ code: 4, transport: true, processed: true });
  });

  it('ends a stream as CANCELLED before the deadline, and without one', async () => {
    expect(await streamEnd(LONG / 2, LONG)).toMatchObject({ code: 1, processed: true });
    expect(await streamEnd(LONG)).toMatchObject({ code: 1, processed: true });
  });

  it('fails a unary call as a timeout when the deadline has passed', async () => {
    const failure = await callFailure(LONG);
    expect(failure).toBeInstanceOf(RpcFailure);
    expect(failure).toMatchObject({ code: 4, details: `no answer within ${LONG} ms`, sent: true });
  });

  it('fails a unary call as CANCELLED before the deadline', async () => {
    expect(await callFailure(LONG / 2)).toMatchObject({ code: 1, sent: true });
  });
});
