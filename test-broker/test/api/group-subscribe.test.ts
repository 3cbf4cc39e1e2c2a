import type { wire } from 'liftbridge-client/protocol';
import type { TestBroker } from 'liftbridge-test-broker';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { names, shareBroker } from '../broker-fixture.js';
import type { ApiClient } from './api-client.js';

const NOT_ASSIGNED = {
  status: 'FAILED_PRECONDITION',
  message: 'Consumer is not currently assigned this partition',
};
const REPLACED = { status: 'OK', message: '' };

let broker: TestBroker;
let api: ApiClient;
let stream = '';
const fresh = names('slots');

beforeAll(async () => {
  ({ broker, api } = await shareBroker());
});
beforeEach(async () => {
  stream = fresh();
  await api.createStream(stream);
});

function subscribe(consumerId: string, groupEpoch: bigint, rest: Partial<wire.SubscribeRequest> = {}) {
  return api.subscribe({ stream, consumer: { groupId: 'g', groupEpoch, consumerId }, ...rest });
}

async function subscribed(consumerId: string, groupEpoch: bigint) {
  const messages = subscribe(consumerId, groupEpoch);
  await messages.next();
  return messages;
}

describe('Subscribe for a consumer group', () => {
  it('rejects an earlier epoch, and replaces the subscription when another consumer has the same epoch', async () => {
    const first = await subscribed('a', 5n);
    expect(await subscribe('b', 4n).end()).toEqual(NOT_ASSIGNED);
    const second = await subscribed('b', 5n);
    expect(await first.end()).toEqual(REPLACED);
    await api.publish(stream, ['x']);
    expect((await second.next()).offset).toBe(0n);
    second.cancel();
  });

  it('keeps the existing subscription when the later request fails', async () => {
    const first = await subscribed('a', 5n);
    const { status } = await subscribe('b', 6n, { startPosition: 9 as wire.StartPosition }).end();
    expect(status).toBe('INVALID_ARGUMENT');
    await api.publish(stream, ['x']);
    expect((await first.next()).offset).toBe(0n);
    first.cancel();
  });

  it('loses the registration of a consumer that subscribes again, when its old subscription ends', async () => {
    const first = await subscribed('a', 5n);
    const second = await subscribed('a', 6n);
    expect(await first.end()).toEqual(REPLACED);
    const third = await subscribed('b', 0n);
    await api.publish(stream, ['x']);
    expect([(await second.next()).offset, (await third.next()).offset]).toEqual([0n, 0n]);
    second.cancel();
    third.cancel();
  });

  it('accepts another consumer when the subscription is cancelled', async () => {
    const first = await subscribed('a', 5n);
    first.cancel();
    await expect.poll(() => broker.openSubscriptions).toEqual([0]);
    const second = await subscribed('b', 0n);
    second.cancel();
  });

  it('keeps subscriptions of other groups and partitions separate', async () => {
    const first = await subscribed('a', 5n);
    const other = api.subscribe({ stream, consumer: { groupId: 'other', groupEpoch: 0n, consumerId: 'b' } });
    await other.next();
    await api.publish(stream, ['x']);
    expect((await first.next()).offset).toBe(0n);
    first.cancel();
    other.cancel();
  });

  it('treats a consumer without a group like any other client', async () => {
    const first = await subscribed('a', 5n);
    const loose = api.subscribe({ stream, consumer: { groupId: '', groupEpoch: 0n, consumerId: 'a' } });
    await loose.next();
    await api.publish(stream, ['x']);
    expect((await first.next()).offset).toBe(0n);
    first.cancel();
    loose.cancel();
  });
});
