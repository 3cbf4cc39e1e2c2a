import { describe, expect, it } from 'vitest';
import { Message as WireMessage } from '../../../src/protocol/generated/api.js';
import type { SubscribeOptions } from '../../../src/subscribe/positions.js';
import { openSubscription, type SubscriptionContext } from '../../../src/subscribe/subscription.js';

type OnFrame = (source: Uint8Array, start: number, end: number) => void;

/** A broker that confirms the subscription and sends what the test says, all of it in one chunk. */
async function subscribed(options: SubscribeOptions) {
  let frame: OnFrame = () => undefined;
  let batch = (): void => undefined;
  const call = {
    ended: new Promise(() => undefined),
    onFrames: (handler: OnFrame) => {
      frame = handler;
    },
    onBatch: (handler: () => void) => {
      batch = handler;
    },
    send: () => undefined,
    halfClose: () => frame(new Uint8Array(0), 0, 0),
    cancel: () => undefined,
    pause: () => undefined,
    resume: () => undefined,
  };
  const broker = { id: 'b1', address: 'b1:9292' };
  const cluster = {
    partitionCount: () => 1,
    createdAt: () => 1,
    leader: () => broker,
    session: async () => ({ open: () => call }),
    on: () => () => undefined,
  };
  const context = { cluster, requestTimeout: 10_000, resubscribeTimeout: 10_000, ended: () => undefined };
  const subscription = await openSubscription(context as unknown as SubscriptionContext, 'orders', {
    startAt: 'earliest',
    ...options,
  });
  const send = (...offsets: bigint[]): void => {
    for (const offset of offsets) {
      const bytes = WireMessage.encode(WireMessage.fromPartial({ stream: 'orders', offset })).finish();
      frame(bytes, 0, bytes.length);
    }
    batch();
  };
  return { subscription, send };
}

describe('a subscription whose messages have arrived in one chunk', () => {
  it('hands none of them out after its signal was aborted', async () => {
    const stop = new AbortController();
    const { subscription, send } = await subscribed({ signal: stop.signal });
    send(0n, 1n, 2n);
    const loop = subscription[Symbol.asyncIterator]();
    expect((await loop.next()).value?.offset).toBe(0n);
    stop.abort(new Error('enough'));
    await expect(loop.next()).rejects.toThrow('enough');
  });

  it('hands none of them out after it was closed', async () => {
    const { subscription, send } = await subscribed({});
    send(0n, 1n, 2n);
    const loop = subscription[Symbol.asyncIterator]();
    expect((await loop.next()).value?.offset).toBe(0n);
    await subscription.close();
    expect(await loop.next()).toEqual({ done: true, value: undefined });
  });
});
