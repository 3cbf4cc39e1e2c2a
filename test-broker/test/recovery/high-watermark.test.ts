import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import type { TestBroker } from '../../src/broker.js';
import { type ApiClient, eventually } from '../cluster/clients.js';
import { running, threeBrokers } from '../cluster/running.js';

/** Restarts with phases of no duration, and returns a client that is served again. */
async function restart(broker: TestBroker, client: ApiClient, index = 0): Promise<void> {
  const recovery = await broker.startBroker(index, { hold: 'not-leading' });
  await recovery.release();
  await eventually(
    () =>
      client.partition('s').then(
        () => true,
        () => false,
      ),
    (led) => led,
  );
}

/** A broker that was killed with offsets 0 to 4 before the last checkpoint and 5 to 7 after it, and has restarted. */
async function killed() {
  const one = await running();
  const { broker, client } = one;
  await client.createStream('s');
  for (let i = 0; i < 5; i++) await client.publish('s', String(i));
  await broker.clock.advance(5_000);
  for (let i = 5; i < 8; i++) await client.publish('s', String(i));
  await broker.stopBroker(0);
  await restart(broker, client);
  return one;
}

describe('the high watermark after a kill', () => {
  it('is that of the last checkpoint until the next message', async () => {
    const { broker, client } = await killed();
    expect(await client.partition('s')).toMatchObject({ highWatermark: 4, newestOffset: 7 });
    await broker.clock.advance(60_000);
    expect(await client.partition('s')).toMatchObject({ highWatermark: 4, newestOffset: 7 });
    expect((await client.publish('s', '8')).offset).toBe(8);
    expect(await client.partition('s')).toMatchObject({ highWatermark: 8, newestOffset: 8 });
    expect(broker.messages('s')).toHaveLength(9);
  });

  it.each([
    ['EARLIEST', { startPosition: 'EARLIEST' }, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 6, 7, 8]],
    ['LATEST', { startPosition: 'LATEST' }, [], [5, 6, 7, 8]],
    ['OFFSET 7', { startPosition: 'OFFSET', startOffset: 7 }, [], [5, 6, 7, 8]],
    ['NEW_ONLY', { startPosition: 'NEW_ONLY' }, [], [5, 6, 7, 8]],
  ])('makes a subscription at %s wait, and deliver more than it requested', async (_name, position, first, then) => {
    const { client } = await killed();
    const subscription = client.subscribe('s', position);
    await subscription.live;
    await subscription.count(first.length);
    await client.arrived();
    expect(subscription.offsets).toEqual(first);
    await client.publish('s', '8');
    await subscription.count(then.length);
    expect(subscription.offsets).toEqual(then);
    subscription.cancel();
  });

  it('makes a subscription wait that ends at the newest message', async () => {
    const { client } = await killed();
    const subscription = client.subscribe('s', { startPosition: 'EARLIEST', stopPosition: 'STOP_LATEST' });
    await subscription.count(5);
    await client.publish('s', '8');
    expect(await subscription.ended).toEqual({ code: 'RESOURCE_EXHAUSTED', details: 'Stop offset reached' });
    expect(subscription.offsets).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('makes the range from NEW_ONLY to the newest message invalid', async () => {
    const { client } = await killed();
    const request = { startPosition: 'NEW_ONLY', stopPosition: 'STOP_LATEST' };
    expect(await client.subscribe('s', request).ended).toEqual({
      code: 'INVALID_ARGUMENT',
      details: 'Stop offset is before start offset: 7 < 8',
    });
  });

  it('is -1 when there was no checkpoint', async () => {
    const { broker, client } = await running();
    await client.createStream('s');
    for (let i = 0; i < 3; i++) await client.publish('s', String(i));
    await broker.stopBroker(0);
    await restart(broker, client);
    expect(await client.partition('s')).toMatchObject({ highWatermark: -1, newestOffset: 2 });
    const subscription = client.subscribe('s', { startPosition: 'LATEST' });
    await subscription.live;
    await client.publish('s', '3');
    await subscription.count(4);
    expect(subscription.offsets).toEqual([0, 1, 2, 3]);
    subscription.cancel();
  });

  it('is exact after a graceful stop, and after a restart without phases', async () => {
    const { broker, client } = await running();
    await client.createStream('s');
    for (let i = 0; i < 3; i++) await client.publish('s', String(i));
    await broker.stopBroker(0, { graceful: true });
    await restart(broker, client);
    expect(await client.partition('s')).toMatchObject({ highWatermark: 2, newestOffset: 2 });
    await client.publish('s', '3');
    await broker.stopBroker(0);
    await broker.startBroker(0, { recoveryTime: 0 });
    await eventually(
      () => client.partition('s').catch(() => null),
      (partition) => partition?.highWatermark === 3,
    );
    await expect(broker.stopBroker(0, { graceful: 1 as never })).rejects.toThrow(
      'expected graceful to be true or false',
    );
  });

  it('is corrected by the next fetch of a follower, if there is one', async () => {
    const { broker, clients, leader } = await threeBrokers(
      {},
      { settings: { 'clustering.replica.max.leader.timeout': '1h', 'clustering.replica.max.lag.time': '1h' } },
    );
    const client = clients[leader]!;
    for (let i = 0; i < 3; i++) await client.publish('s', String(i), { ackPolicy: 'ALL' });
    await broker.stopBroker(leader);
    const recovery = await broker.startBroker(leader, { hold: 'not-leading' });
    const metadata = async () => {
      const { streamMetadata } = await client.call('fetchMetadata', { streams: ['s'] });
      return streamMetadata[0].partitions[0];
    };
    const before = await eventually(
      () => metadata().catch(() => null),
      (partition) => partition !== null,
    );
    expect(before).toMatchObject({ highWatermark: -1, newestOffset: 2 });
    await recovery.release();
    await eventually(metadata, ({ highWatermark }) => highWatermark === 2);
  });

  it.each([
    ['exact after the process has closed the broker', 'close', 2],
    ['that of the last checkpoint after the process was killed', 'leave', -1],
  ])('is %s', async (_name, how, highWatermark) => {
    const dataDir = temporaryDirectory();
    const first = await running({ dataDir });
    await first.client.createStream('s');
    for (let i = 0; i < 3; i++) await first.client.publish('s', String(i));
    // A broker that was killed before the process ends writes no more checkpoints.
    if (how === 'leave') await first.broker.stopBroker(0);
    await first.broker.close();
    const { broker, client } = await running({ dataDir, recoveryTime: 600_000 });
    await broker.clock.advance(600_000);
    await broker.ready();
    expect(await client.partition('s')).toMatchObject({ highWatermark, newestOffset: 2 });
  });
});
