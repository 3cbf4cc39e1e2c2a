import { describe, expect, it } from 'vitest';
import type { PendingPublish } from '../../../src/publish/partition-queue.js';
import { PartitionQueue, StreamQueue, WaitingPublishes } from '../../../src/publish/partition-queue.js';

function pending(name: string): PendingPublish {
  return { correlationId: name, settled: false } as PendingPublish;
}

function drain(turns: WaitingPublishes): string {
  let names = '';
  for (let next = turns.peek(); next !== null; next = turns.peek()) {
    names += next.correlationId;
    turns.shift();
  }
  return names;
}

describe('WaitingPublishes', () => {
  it('returns publishes in the order of their arrival', () => {
    const turns = new WaitingPublishes();
    for (const name of 'abc') turns.push(pending(name));
    expect(turns.empty).toBe(false);
    expect(drain(turns)).toBe('abc');
    expect(turns.empty).toBe(true);
  });

  it('skips settled publishes', () => {
    const turns = new WaitingPublishes();
    const entries = [...'abc'].map(pending);
    for (const entry of entries) turns.push(entry);
    entries[0]!.settled = true;
    entries[2]!.settled = true;
    expect(drain(turns)).toBe('b');
    expect(turns.empty).toBe(true);
  });

  it('puts publishes back in front, in their order', () => {
    const turns = new WaitingPublishes();
    for (const name of 'cde') turns.push(pending(name));
    turns.peek();
    turns.shift();
    turns.unshift([...'abc'].map(pending));
    expect(drain(turns)).toBe('abcde');
  });
});

describe('StreamQueue', () => {
  it('has one queue for each partition', () => {
    const stream = new StreamQueue('orders');
    expect(stream.queue(3)).toBe(stream.queue(3));
    expect(stream.queue(4)).toBeInstanceOf(PartitionQueue);
    expect([...stream.partitions.keys()]).toEqual([3, 4]);
  });
});
