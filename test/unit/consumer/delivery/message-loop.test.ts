import { describe, expect, it, vi } from 'vitest';
import { MessageLoop } from '../../../../src/consumer/delivery/message-loop.js';
import { ReadyQueue } from '../../../../src/consumer/delivery/ready-queue.js';
import type { HeldPartition } from '../../../../src/consumer/partitions/held-partition.js';
import { ReceivedMessage } from '../../../../src/protocol/received-message.js';

function partition(id: number, count: number) {
  const messages = Array.from({ length: count }, (_, offset) =>
    Object.assign(new ReceivedMessage(), { partition: id, offset: BigInt(offset) }),
  );
  const log: string[] = [];
  const held = {
    log,
    get isReady() {
      return messages.length > 0;
    },
    begin: () => messages.shift() ?? null,
    finish: ({ offset }: ReceivedMessage) => void log.push(`finished ${offset}`),
    abandon: ({ offset }: ReceivedMessage) => void log.push(`abandoned ${offset}`),
  };
  return held as unknown as HeldPartition & typeof held;
}

function looping() {
  const queue = new ReadyQueue({ isCurrent: true, renew: () => undefined });
  const leave = vi.fn(async () => undefined);
  const loop = new MessageLoop(queue, leave);
  return { queue, leave, loop };
}

describe('MessageLoop', () => {
  it('is for one loop', () => {
    const { loop } = looping();
    loop[Symbol.asyncIterator]();
    expect(() => loop[Symbol.asyncIterator]()).toThrow(/for one loop/);
  });

  it('counts a message as processed when the next one is asked for', async () => {
    const { queue, loop } = looping();
    const held = partition(0, 2);
    queue.offer(held);
    const messages = loop[Symbol.asyncIterator]();
    expect((await messages.next()).value?.offset).toBe(0n);
    expect(held.log).toEqual([]);
    expect((await messages.next()).value?.offset).toBe(1n);
    expect(held.log).toEqual(['finished 0']);
    const waiting = messages.next();
    expect(held.log).toEqual(['finished 0', 'finished 1']);
    queue.offer(partition(1, 1));
    expect((await waiting).value?.partition).toBe(1);
  });

  it('gives another partition its turn after 64 messages', async () => {
    const { queue, loop } = looping();
    queue.offer(partition(0, 100));
    queue.offer(partition(1, 100));
    const messages = loop[Symbol.asyncIterator]();
    const given: number[] = [];
    for (let n = 0; n < 130; n++) given.push((await messages.next()).value!.partition);
    const runs = given.reduce<[number, number][]>((all, id) => {
      if (all.at(-1)?.[0] === id) all.at(-1)![1]++;
      else all.push([id, 1]);
      return all;
    }, []);
    expect(runs).toEqual([
      [0, 64],
      [1, 64],
      [0, 2],
    ]);
  });

  it('leaves the consumer when it is left, with the current message not processed', async () => {
    const { queue, leave, loop } = looping();
    const held = partition(0, 3);
    queue.offer(held);
    const messages = loop[Symbol.asyncIterator]();
    await messages.next();
    expect(await messages.return!()).toEqual({ done: true, value: undefined });
    expect([held.log, leave.mock.calls.length]).toEqual([['abandoned 0'], 1]);
    queue.end({ error: new Error('later') });
    expect(await messages.next()).toEqual({ done: true, value: undefined });
    expect(held.log).toEqual(['abandoned 0']);
  });

  it('throws what it is told to, after leaving', async () => {
    const { leave, loop } = looping();
    const error = new Error('of the loop');
    await expect(loop[Symbol.asyncIterator]().throw!(error)).rejects.toBe(error);
    expect(leave).toHaveBeenCalledTimes(1);
  });

  it('ends with the queue: cleanly, or once with its error', async () => {
    const clean = looping();
    const waiting = clean.loop[Symbol.asyncIterator]().next();
    clean.queue.end('clean');
    expect(await waiting).toEqual({ done: true, value: undefined });
    const failed = looping();
    const messages = failed.loop[Symbol.asyncIterator]();
    const error = new Error('broken');
    failed.queue.end({ error });
    await expect(messages.next()).rejects.toBe(error);
    expect(await messages.next()).toEqual({ done: true, value: undefined });
  });
});

describe('ReadyQueue', () => {
  it('takes each partition once, in turn, and only while it has a message', () => {
    const { queue } = looping();
    const [one, two, empty] = [partition(0, 1), partition(1, 1), partition(2, 1)];
    queue.offer(empty);
    queue.offer(one);
    queue.offer(one);
    queue.offer(two);
    queue.offer(partition(3, 0));
    empty.begin();
    expect([queue.take(), queue.take(), queue.take()]).toEqual([one, two, null]);
  });

  it('resolves waits at once when there is something to take, and wakes all at the end', async () => {
    const { queue } = looping();
    queue.offer(partition(0, 1));
    await queue.wait();
    queue.take();
    const woken = vi.fn();
    const waits = [queue.wait().then(woken), queue.wait().then(woken), queue.ended.then(woken)];
    queue.resume();
    await Promise.resolve();
    expect(woken).not.toHaveBeenCalled();
    queue.end('clean');
    await Promise.all(waits);
    queue.end({ error: 'later' });
    expect([queue.over, queue.isOpen]).toEqual(['clean', false]);
    queue.offer(partition(1, 1));
    await queue.wait();
    expect(queue.take()).toBeNull();
  });
});
