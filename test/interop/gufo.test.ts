import { createInterface } from 'node:readline';
import { connect } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';
import { startProcess } from '../support/child-process.js';
import { pythonHas, runPython, script } from './python.js';

const BULK = 5_000;
const HAS_GUFO = pythonHas('gufo.liftbridge.client');

describe.skipIf(!HAS_GUFO)('gufo-liftbridge (skipped without python3 and gufo-liftbridge)', () => {
  it.each([1, 3])('creates, publishes, subscribes, deletes and keeps cursors on brokers: %i', async (brokers) => {
    await using broker = await TestBroker.start({ brokers, cursorsPartitions: 1 });
    const seen = await runPython('gufo_client.py', 'everything', broker.addresses.join(','), String(brokers));
    expect(seen).toEqual({
      streams: {
        again: expect.stringContaining('already exists'),
        unknown: 'stream does not exist',
        gone: ['short-lived'],
        subject: 'gufo.subject',
        partitions: [0, 1],
        replicas: brokers,
        'leaders known': true,
      },
      publishes: { missing: expect.stringContaining('no such stream'), 'bulk offsets': true, 'bulk ids': true },
      subscriptions: {
        earliest: ['one', 'two', 'three'],
        key: 'k',
        headers: { color: 'red' },
        subject: 'gufo.subject',
        offsets: [0, 1, 2],
        rising: true,
        offset: ['two', 'three'],
        time: ['three'],
        latest: ['fresh'],
        new: ['fresh'],
        isr: ['one'],
        'bulk in order': true,
      },
      cursors: { unset: -1, set: 1, resumed: ['two', 'three'] },
      partition: { newest: BULK, paused: false, isr: brokers },
    });
    expect(broker.messages('gufo', 1)).toHaveLength(BULK + 1);
  });

  it('continues to read after the leader stopped', async () => {
    await using broker = await TestBroker.start({ brokers: 3 });
    await using client = await connect(broker.addresses);
    await client.createStream('followed', 'followed', { replicationFactor: 3 });
    await client.publish('followed', 'before', { ackPolicy: 'all' });
    const leader = broker.leaderOf('followed');
    // gufo-liftbridge keeps asking a seed that is gone: the test gives it one that stays.
    const seed = broker.addresses[(leader + 1) % 3]!;
    const python = startProcess('python3', [script('gufo_client.py'), 'follow', seed, '2'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const lines = createInterface({ input: python.stdout! })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe('0 before');
    await broker.stopBroker(leader);
    await using other = await connect(seed);
    await other.publish('followed', 'after', { ackPolicy: 'all' });
    expect((await lines.next()).value).toBe('1 after');
    expect((await lines.next()).done).toBe(true);
  });
});
