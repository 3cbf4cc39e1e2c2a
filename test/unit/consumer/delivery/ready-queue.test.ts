import { describe, expect, it, vi } from 'vitest';
import { MessageLoop } from '../../../../src/consumer/delivery/message-loop.js';
import { ReadyQueue } from '../../../../src/consumer/delivery/ready-queue.js';
import type { HeldPartition } from '../../../../src/consumer/partitions/held-partition.js';
import { ReceivedMessage } from '../../../../src/protocol/received-message.js';

/** A partition with messages at these offsets. */
function partition(...offsets: number[]) {
  const messages = offsets.map((offset) => Object.assign(new ReceivedMessage(), { offset: BigInt(offset) }));
  const held = {
    get isReady() {
      return messages.length > 0;
    },
    begin: () => messages.shift() ?? null,
    finish: vi.fn(),
    abandon: vi.fn(),
  };
  return held as unknown as HeldPartition & typeof held;
}

function lease() {
  return { isCurrent: true, renew: vi.fn() };
}

describe('ReadyQueue', () => {
  it('hands nothing out, and asks, while the member may have been expired', async () => {
    const membership = lease();
    const readyQueue = new ReadyQueue(membership);
    const held = partition(0);
    readyQueue.offer(held);
    membership.isCurrent = false;
    expect(readyQueue.take()).toBeNull();
    expect(membership.renew).toHaveBeenCalledTimes(1);
    const waits = readyQueue.wait();
    membership.isCurrent = true;
    readyQueue.resume();
    await waits;
    expect(readyQueue.take()).toBe(held);
  });

  it('does not end waiting before the member is one for certain', async () => {
    const membership = lease();
    const readyQueue = new ReadyQueue(membership);
    membership.isCurrent = false;
    readyQueue.offer(partition(0));
    const waited = vi.fn();
    const waits = readyQueue.wait().then(waited);
    await Promise.resolve();
    expect(waited).not.toHaveBeenCalled();
    readyQueue.end('clean');
    await waits;
    expect(readyQueue.take()).toBeNull();
  });
});

describe('the loop of a consumer', () => {
  it('is handed nothing of a run of messages once the member may have been expired', async () => {
    const membership = lease();
    const readyQueue = new ReadyQueue(membership);
    const held = partition(0, 1, 2);
    readyQueue.offer(held);
    const messages = new MessageLoop(readyQueue, async () => undefined)[Symbol.asyncIterator]();
    expect((await messages.next()).value?.offset).toBe(0n);
    membership.isCurrent = false;
    const next = messages.next();
    expect(membership.renew).toHaveBeenCalled();
    expect(held.finish).toHaveBeenCalledTimes(1);
    // The member was expired: its partition is given up before it is current again.
    while (held.begin() !== null);
    membership.isCurrent = true;
    readyQueue.resume();
    readyQueue.offer(partition(7));
    expect((await next).value?.offset).toBe(7n);
  });
});
