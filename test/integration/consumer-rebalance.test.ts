import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { Bench } from './consumer-harness.js';

const STREAMS = { clicks: 6, orders: 4, views: 2 };

describe('Consumer under load, without failures,', () => {
  it.each([1, 3])(
    'processes every message once on %i brokers while one to six members join and leave',
    async (brokers) => {
      await using bench = await Bench.start({ brokers }, STREAMS);
      bench.load();
      for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) {
        await bench.member(id);
        await bench.passes();
      }
      await bench.balanced();
      for (const member of bench.members.slice(0, 3)) {
        await member.consumer.close();
        await bench.passes();
      }
      await bench.balanced(bench.members.slice(3));
      await eventually('much is published', () => bench.published.length > 500);
      await bench.settle();
      expect(bench.repeated).toEqual([]);
      expect(bench.members.map(({ error }) => error)).toEqual(Array(6).fill(null));
      expect(bench.asyncErrors).toEqual([]);
    },
  );

  it('continues with its assigned partition while other members join and leave', async () => {
    await using bench = await Bench.start({}, { only: 2 });
    bench.load(1);
    const first = await bench.member('a', { autoCheckpoint: false });
    const second = await bench.member('b', { autoCheckpoint: false });
    await bench.balanced();
    const kept = first.partitions;
    const opened = bench.broker.openSubscriptions[0];
    const third = await bench.member('c', { autoCheckpoint: false });
    await third.consumer.close();
    expect(first.partitions).toEqual(kept);
    await bench.settle();
    expect(bench.broker.openSubscriptions[0]).toBe(opened);
    expect(bench.repeated).toEqual([]);
    expect(second.error).toBeNull();
  });

  it('processes every message once while partition leaders move', async () => {
    await using bench = await Bench.start({ brokers: 3 }, { moving: 3 });
    bench.load();
    await bench.member('a');
    await bench.member('b');
    for (let move = 0; move < 6; move++) {
      await bench.broker.moveLeader('moving', move % 3, (bench.broker.leaderOf('moving', move % 3) + 1) % 3);
      const { size } = bench.processed;
      await eventually('the new leader serves', () => bench.processed.size > size + 10);
    }
    await bench.settle();
    expect(bench.repeated).toEqual([]);
  });

  it('takes over partitions from a slow member with a full queue', async () => {
    await using bench = await Bench.start({}, { backlog: 2 });
    const value = Buffer.alloc(128 * 1024);
    for (let i = 0; i < 60; i++) await bench.publisher.publish('backlog', value, { partition: i % 2 });
    const slow = bench.publisher.createConsumer('group', { consumerId: 'a', autoOffset: 'earliest' });
    const quick = bench.publisher.createConsumer('group', { consumerId: 'b', autoOffset: 'earliest' });
    const seen: string[] = [];
    const read = async (consumer: typeof slow, delay: number) => {
      for await (const { partition, offset } of await consumer.subscribe(['backlog'])) {
        seen.push(`${partition} ${offset}`);
        // Makes this member slow; the test does not depend on the delay.
        if (delay > 0) await sleep(delay);
      }
    };
    const slowly = read(slow, 30);
    await eventually('the slow one is at it', () => seen.length > 2);
    const quickly = read(quick, 0);
    await eventually('all is processed', () => new Set(seen).size === 60);
    await Promise.all([slow.close(), quick.close()]);
    await Promise.all([slowly, quickly]);
    expect(seen).toHaveLength(60);
  });

  it('assigns partitions to waiting members when another member leaves', async () => {
    await using bench = await Bench.start({}, { single: 1 });
    bench.load();
    const [a, b, c] = [await bench.member('a'), await bench.member('b'), await bench.member('c')];
    expect([a, b, c].map((member) => member.partitions)).toEqual([['single/0'], [], []]);
    await a.consumer.close();
    await bench.balanced([b, c]);
    await b.consumer.close();
    await bench.balanced([c]);
    await bench.settle();
    expect(bench.repeated).toEqual([]);
    expect(c.processed.length).toBeGreaterThan(0);
  });
});
