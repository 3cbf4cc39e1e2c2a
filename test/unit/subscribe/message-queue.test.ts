import { describe, expect, it } from 'vitest';
import { ReceivedMessage } from '../../../src/protocol/received-message.js';
import { MessageQueue } from '../../../src/subscribe/message-queue.js';

function open() {
  const calls: string[] = [];
  const queue = new MessageQueue({ pause: () => calls.push('pause'), resume: () => calls.push('resume') });
  return { queue, calls };
}

const batch = (...offsets: number[]) =>
  offsets.map((offset) => Object.assign(new ReceivedMessage(), { offset: BigInt(offset) }));
const offsets = (messages: ReceivedMessage[] | null) => messages?.map(({ offset }) => Number(offset)) ?? null;
const KILOBYTE = 1024;

describe('MessageQueue', () => {
  it('delivers batches in order, and waits for one where there is none', async () => {
    const { queue } = open();
    queue.push(batch(1, 2), 10);
    queue.push(batch(3), 10);
    expect(offsets(queue.take())).toEqual([1, 2]);
    expect(offsets(await queue.next())).toEqual([3]);
    expect(queue.take()).toBeNull();
    const waiting = queue.next();
    queue.push(batch(4), 10);
    expect(offsets(await waiting)).toEqual([4]);
  });

  it('stops its owner at a mebibyte and lets it continue at a quarter', () => {
    const { queue, calls } = open();
    for (let n = 0; n < 1_023; n++) queue.push(batch(n), KILOBYTE);
    expect(calls).toEqual([]);
    queue.push(batch(1_023), KILOBYTE);
    queue.push(batch(1_024), KILOBYTE);
    expect(calls).toEqual(['pause']);
    for (let n = 0; n < 768; n++) queue.take();
    expect(calls).toEqual(['pause']);
    queue.take();
    expect(calls).toEqual(['pause', 'resume']);
  });

  it('ends behind what is in it', async () => {
    const { queue } = open();
    queue.push(batch(1), 1);
    queue.end();
    queue.push(batch(2), 1);
    expect(offsets(await queue.next())).toEqual([1]);
    expect(await queue.next()).toBeNull();
  });

  it('fails behind what is in it', async () => {
    const { queue } = open();
    const error = new Error('broken');
    queue.push(batch(1), 1);
    queue.fail(error);
    queue.end();
    expect(offsets(await queue.next())).toEqual([1]);
    await expect(queue.next()).rejects.toBe(error);
  });

  it('wakes who waits when it ends, fails or is cleared', async () => {
    const ended = open().queue;
    const waiting = ended.next();
    ended.end();
    expect(await waiting).toBeNull();
    const failed = open().queue;
    const failing = failed.next();
    failed.clear({ error: 'aborted' });
    await expect(failing).rejects.toBe('aborted');
  });

  it('drops what is in it when it is cleared, also after its end', async () => {
    const { queue } = open();
    queue.push(batch(1), 1);
    queue.end();
    queue.clear({ error: 'aborted' });
    expect(queue.dropped).toBe(true);
    await expect(queue.next()).rejects.toBe('aborted');
  });
});
