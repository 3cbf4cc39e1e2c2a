import { describe, expect, it } from 'vitest';
import { freezeClock } from '../broker-fixture.js';
import { type Answer, type ApiClient, eventually } from '../cluster/clients.js';
import { running, threeBrokers } from '../cluster/running.js';

const HOUR = 3_600_000;
/** A deadline that passes on the broker ends the call with a status or a reset. */
const EXPIRED = { code: expect.stringMatching(/DEADLINE_EXCEEDED|CANCELLED/) };

async function list(client: ApiClient): Promise<string[]> {
  const { brokers } = await client.call('fetchMetadata');
  return brokers.map(({ id }: Answer) => id);
}

describe('the list of brokers in FetchMetadata', () => {
  it('does not contain a restarted broker, although it leads, until the list is requested again', async () => {
    const { broker, clients } = await running({ brokers: 3, settings: { 'metadata.cache.max.age': '2h' } });
    await clients[0]!.createStream('a');
    await clients[0]!.createStream('s');
    expect(broker.leaderOf('s')).toBe(1);
    await broker.stopBroker(1);
    // The request waits for the stopped broker until the deadline, and the called broker caches the list without it.
    expect(await clients[0]!.expired(broker.clock, 'fetchMetadata')).toMatchObject(EXPIRED);
    await broker.startBroker(1);
    const answer = await clients[0]!.call('fetchMetadata', { streams: ['s'] });
    expect(answer.brokers.map(({ id }: Answer) => id)).toEqual(['broker-0', 'broker-2']);
    expect(answer.streamMetadata[0].partitions[0].leader).toBe('broker-1');
    await eventually(
      () => list(clients[1]!).catch(() => []),
      (ids) => ids.length === 3,
    );
    await broker.clock.advance(1.5 * HOUR);
    expect(await list(clients[0]!)).toHaveLength(2);
    await broker.clock.advance(0.5 * HOUR);
    expect(await list(clients[0]!)).toHaveLength(3);
  });

  it('is cached for a second by default, and its request waits for a stopped broker only once', async () => {
    const { broker, clients } = await running({ brokers: 3 });
    const clock = freezeClock();
    expect(await list(clients[0]!)).toHaveLength(3);
    await broker.stopBroker(2);
    // A stopped broker remains in the list as long as the list is cached.
    expect(await list(clients[0]!)).toHaveLength(3);
    clock.thaw();
    await broker.clock.advance(1_001);
    expect(await clients[0]!.expired(broker.clock, 'fetchMetadata')).toMatchObject(EXPIRED);
    expect(await list(clients[0]!)).toEqual(['broker-0', 'broker-1']);
    await broker.clock.advance(1_001);
    expect(await list(clients[0]!)).toEqual(['broker-0', 'broker-1']);
    await broker.startBroker(2);
    await broker.clock.advance(1_001);
    expect(await list(clients[0]!)).toHaveLength(3);
  });

  it('omits a broker until the test ends the fault, but not from the list of that broker', async () => {
    const { broker, clients, leader, follower, other } = await threeBrokers();
    const end = broker.faults.unlist(leader);
    expect(await list(clients[follower]!)).toEqual([`broker-${follower}`, `broker-${other}`]);
    expect(await list(clients[leader]!)).toHaveLength(3);
    const { streamMetadata } = await clients[follower]!.call('fetchMetadata', { streams: ['s'] });
    expect(streamMetadata[0].partitions[0].leader).toBe(`broker-${leader}`);
    end();
    expect(await list(clients[follower]!)).toHaveLength(3);
    broker.faults.unlist(leader);
    broker.faults.clear();
    expect(await list(clients[follower]!)).toHaveLength(3);
    expect(() => broker.faults.unlist(3)).toThrow('the index of a broker, an integer from 0 to 2');
  });
});
