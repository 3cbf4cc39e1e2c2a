import type { ServerHttp2Stream } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { connect, type SubscribeOptions } from '../../src/index.js';
import { Status } from '../../src/transport/status.js';
import { closing } from '../support/closing.js';
import {
  deliver,
  endCall,
  messageFrame,
  type PartitionState,
  readingPeer,
  type SubscribeScript,
} from '../support/reading-peer.js';

/** The state of a broker whose leader was killed within 5 s of the newest messages: they are stored but not committed. */
const CUT_SHORT: PartitionState = { highWatermark: 4n, newestOffset: 7n, isr: ['a'] };
const WHOLE: PartitionState = { highWatermark: 4n, newestOffset: 4n, isr: ['a'] };

/** The number of probes of a partition without followers after which a stalled read of it ends. */
const LOOKS = 2;

/** A partition that sends five messages, and the rest after enough probes for its reader to stop. */
function slowToCommit(state: PartitionState, highWatermark: bigint): [PartitionState, SubscribeScript] {
  const first = state.highWatermark;
  const sent = Array.from({ length: Number(first) + 1 }, (_, n) => BigInt(n));
  const rest = Array.from({ length: Number(highWatermark - first) }, (_, n) => first + 1n + BigInt(n));
  let reading: ServerHttp2Stream | null = null;
  let looks = 0;
  const moving = {
    ...state,
    get highWatermark() {
      if (reading === null || ++looks < LOOKS) return first;
      if (looks > LOOKS) return highWatermark;
      setImmediate(() => {
        for (const offset of rest) reading!.write(messageFrame(offset));
      });
      return first;
    },
  };
  const script: SubscribeScript = (_request, stream) => {
    deliver(stream, sent);
    reading = stream;
  };
  return [moving, script];
}

async function subscribe(state: PartitionState, script: SubscribeScript, options: SubscribeOptions) {
  const peer = closing(await readingPeer(state, script));
  const client = closing(await connect(`${peer.host}:${peer.port}`));
  return await client.subscribe('orders', options);
}

async function values(subscription: AsyncIterable<{ text(): string }>, count = Number.POSITIVE_INFINITY) {
  const all: string[] = [];
  for await (const message of subscription) {
    all.push(message.text());
    if (all.length >= count) break;
  }
  return all;
}

describe('a replica that truncates its log', () => {
  it.each(['failed to reinitialize reader: segment not found', 'failed to read message headers: segment not found'])(
    'ends the call (%s), and the subscription continues with the next offset',
    async (truncated) => {
      const asked: bigint[] = [];
      const subscription = await subscribe(
        WHOLE,
        ({ startOffset }, stream, call) => {
          asked.push(startOffset);
          deliver(stream, call === 1 ? [0n, 1n] : [startOffset, startOffset + 1n]);
          if (call === 1) endCall(stream, Status.UNKNOWN, truncated);
        },
        { startAt: 'earliest', readIsrReplica: true },
      );
      expect(await values(subscription, 4)).toEqual(['0', '1', '2', '3']);
      expect(asked).toEqual([0n, 2n]);
    },
  );

  it('rejects new calls for some time, which does not end a forward read', async () => {
    const refusal = 'Failed to create stream reader: segment not found';
    const subscription = await subscribe(
      WHOLE,
      ({ startOffset }, stream, call) => {
        if (call === 1) {
          deliver(stream, [0n, 1n]);
          endCall(stream, Status.UNAVAILABLE, 'the connection broke');
        } else if (call < 4) {
          stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
          endCall(stream, Status.INTERNAL, refusal);
        } else deliver(stream, [startOffset]);
      },
      { startAt: 'earliest' },
    );
    expect(await values(subscription, 3)).toEqual(['0', '1', '2']);
  });
});

describe('a bounded read of a partition whose high watermark is below its newest offset', () => {
  it('ends at the high watermark when it does not advance', async () => {
    const script: SubscribeScript = (_request, stream) => deliver(stream, [0n, 1n, 2n, 3n, 4n]);
    const subscription = await subscribe(CUT_SHORT, script, { startAt: 'earliest', stopAt: 'latest' });
    expect(await values(subscription)).toEqual(['0', '1', '2', '3', '4']);
  });

  it('ends without a message when no message is committed', async () => {
    const state = { ...CUT_SHORT, highWatermark: -1n };
    const subscription = await subscribe(state, (_request, stream) => deliver(stream, []), {
      startAt: 'earliest',
      stopAt: 'latest',
    });
    expect(await values(subscription)).toEqual([]);
  });

  it('delivers the rest when the high watermark advances meanwhile', async () => {
    const [state, script] = slowToCommit({ ...CUT_SHORT, isr: ['a', 'b'] }, 7n);
    const subscription = await subscribe(state, script, { startAt: 'earliest', stopAt: 'latest' });
    expect(await values(subscription)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
  });

  it('waits for an offset that the caller specifies', async () => {
    const [state, script] = slowToCommit(CUT_SHORT, 5n);
    const subscription = await subscribe(state, script, { startAt: 'earliest', stopAt: { offset: 5n } });
    expect(await values(subscription)).toEqual(['0', '1', '2', '3', '4', '5']);
  });
});
