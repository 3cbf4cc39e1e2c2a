import { TestBroker } from 'liftbridge-test-broker';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../src/index.js';
import { closing } from '../support/closing.js';

let broker: TestBroker;
let client: Client;

beforeEach(async () => {
  broker = closing(await TestBroker.start({ cursorsPartitions: 3 }));
  client = await connect(broker.addresses, { retry: { minDelay: 1 } });
  closing({ close: () => client.close({ timeout: 100 }) });
  await client.createStream('foo', 'foo');
});

describe('a call that the broker cancels on its own', () => {
  it('is retried when a timeout would also be retried', async () => {
    broker.faults.resetNext('SetCursor', 'CANCEL', 2);
    await client.setCursor('me', 'foo', 0, 7n);
    broker.faults.resetNext('FetchCursor', 'CANCEL', 2);
    expect(await client.fetchCursor('me', 'foo', 0)).toBe(7n);
    expect(broker.faults.pending).toBe(0);
  });

  it('rejects as retryable, with an unknown outcome, when a second attempt could do harm', async () => {
    broker.faults.resetNext('PublishToSubject', 'CANCEL');
    await expect(client.publishToSubject('foo', 'x')).rejects.toMatchObject({
      code: 'CONNECTION',
      reason: 'unavailable',
      outcome: 'unknown',
      retryable: true,
    });
  });

  it('does not end a subscription', async () => {
    broker.faults.resetNext('Subscribe', 'CANCEL', 2);
    const subscription = await client.subscribe('foo', { startAt: 'earliest' });
    await client.publish('foo', 'x');
    for await (const message of subscription) {
      expect(String(message.value)).toBe('x');
      break;
    }
    expect(broker.faults.pending).toBe(0);
  });
});

describe('a call whose deadline has passed', () => {
  it('rejects with TIMEOUT and never with SERVER, for every way in which the broker ends it', async () => {
    // The broker waits for the ack of the cursor and ends the call itself when the deadline has passed.
    broker.faults.delayAcks(60_000);
    for (const how of ['reset', 'status'] as const) {
      broker.faults.endDeadlines(how);
      const calls = Array.from({ length: 20 }, (_, i) =>
        client.setCursor(`cursor-${i}`, 'foo', 0, 1n, { timeout: 50 }),
      );
      const codes = (await Promise.allSettled(calls)).map(
        (result) => result.status === 'rejected' && result.reason.code,
      );
      expect(new Set(codes)).toEqual(new Set(['TIMEOUT']));
    }
  });
});
