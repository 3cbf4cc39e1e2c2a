import { afterEach, describe, expect, it } from 'vitest';
import { MovableClock } from '../../src/clock.js';
import { Cluster, type ClusterOptions } from '../../src/cluster/cluster.js';
import { Faults } from '../../src/faults.js';
import { MemoryBus } from '../../src/nats/memory-bus.js';
import { resolveGiven } from '../../src/settings.js';

const STREAM = { kind: 'create-stream', name: 's', subject: 's', group: '', partitionCount: 1, config: {} } as const;
const OPTIONS = { deadline: null, failurePrefix: '' };
const opened: { close(): void }[] = [];

afterEach(() => {
  for (const each of opened.splice(0)) each.close();
});

/** A cluster without ports, and its warnings. */
async function cluster(options: Partial<ClusterOptions> = {}) {
  const clock = new MovableClock();
  const bus = new MemoryBus();
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const common = { clock, bus, settings: resolveGiven(), faults: new Faults(), storage: () => null, warn };
  const made = new Cluster({ ...common, brokers: ['a', 'b'], ...options });
  opened.push({ close: () => clock.stop() }, made);
  await made.start();
  return { cluster: made, clock, bus, warnings };
}

describe('a disk that fails', () => {
  it('fails the operation that cannot be stored, which then has no effect', async () => {
    const { cluster: made } = await cluster();
    let full = true;
    made.log.store = {
      append() {
        if (full) throw new Error('no space left on device');
      },
    };
    const create = () => made.newest.propose({ ...STREAM, replicationFactor: 1 }, OPTIONS);
    await expect(create()).rejects.toMatchObject({
      status: 'INTERNAL',
      message: 'failed to store the operation: Error: no space left on device',
    });
    expect(made.newest.stream('s')).toBeUndefined();
    full = false;
    expect(await create()).toBe(5n);
  });

  it('makes a broker lose its replica, with a warning, but not the other brokers', async () => {
    const storage = (broker: string) => {
      if (broker === 'b') throw new Error('permission denied');
      return null;
    };
    const { cluster: made, warnings } = await cluster({ storage });
    await made.newest.propose({ ...STREAM, replicationFactor: 2 }, OPTIONS);
    await made.settled();
    expect(warnings).toEqual(['broker b could not apply create-stream: Error: permission denied']);
    expect(made.nodes.get('a')!.replica('s', 0)!.leading).toBe(true);
  });

  it('delays a follower, with a warning', async () => {
    const { cluster: made, clock, bus, warnings } = await cluster();
    await made.newest.propose({ ...STREAM, replicationFactor: 2 }, OPTIONS);
    await made.settled();
    const { log } = made.nodes.get('b')!.replica('s', 0)!;
    const { appendSlice } = log;
    log.appendSlice = () => {
      throw new Error('no space left on device');
    };
    bus.publish('s', Buffer.from('x'));
    await clock.advance(10);
    expect(warnings).toEqual(['b could not replicate partition 0 of s: Error: no space left on device']);
    log.appendSlice = appendSlice;
    bus.publish('s', Buffer.from('y'));
    await clock.advance(10);
    expect(log.newestOffset).toBe(1);
  });
});
