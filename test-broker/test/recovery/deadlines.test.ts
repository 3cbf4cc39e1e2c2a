import { describe, expect, it, vi } from 'vitest';
import { closing } from '../../../test/support/closing.js';
import type { TestBroker } from '../../src/broker.js';
import type { ApiClient, Failure } from '../cluster/clients.js';
import { running } from '../cluster/running.js';

/** Far longer than any test: only the brokers' clock reaches it. */
const HOUR = 3_600_000;

/** The results of this number of consecutive calls whose deadline passes on the broker. */
async function ends(broker: TestBroker, client: ApiClient, count: number): Promise<string[]> {
  const codes: string[] = [];
  for (let i = 0; i < count; i++) {
    const call = client.call('publishToSubject', { subject: 'without.listener' }, HOUR);
    const end = call.catch(({ code, details }: Failure) => `${code} ${details}`);
    await client.arrived();
    await broker.clock.advance(HOUR);
    codes.push(await end);
  }
  return codes;
}

const STATUS = 'DEADLINE_EXCEEDED context deadline exceeded';
const RESET = 'CANCELLED Call cancelled';

describe('a call whose deadline passes on the broker', () => {
  it('ends with DEADLINE_EXCEEDED, and every tenth one with a reset', async () => {
    const { broker, client } = await running();
    const codes = await ends(broker, client, 20);
    expect(codes.map((code, i) => [i, code]).filter(([, code]) => code !== STATUS)).toEqual([
      [9, RESET],
      [19, RESET],
    ]);
  });

  it('ends as the test configures', async () => {
    const { broker, client } = await running();
    broker.faults.endDeadlines('reset');
    expect(await ends(broker, client, 2)).toEqual([RESET, RESET]);
    broker.faults.endDeadlines('status');
    expect(await ends(broker, client, 11)).toEqual(Array(11).fill(STATUS));
    broker.faults.endDeadlines('reset');
    broker.faults.clear();
    expect(await ends(broker, client, 1)).toEqual([STATUS]);
    expect(() => broker.faults.endDeadlines('never' as 'reset')).toThrow(
      'expected how to be one of status, reset, mixed',
    );
  });

  it('is also reset if it is a subscription', async () => {
    const { broker, client } = await running();
    await client.createStream('s');
    broker.faults.endDeadlines('reset');
    const subscription = client.subscribe('s', {}, HOUR);
    await subscription.live;
    await broker.clock.advance(HOUR);
    expect(await subscription.ended).toEqual({ code: 'CANCELLED', details: 'Call cancelled' });
  });

  it('behaves the same after the wall clock was set ahead', async () => {
    const { broker, client } = await running();
    const cursor = { cursorId: 'c', stream: 's', partition: 0 };
    broker.faults.dropAcks(1);
    const first = client.call('setCursor', { ...cursor, offset: 1 }, HOUR).catch(({ code }: Failure) => code);
    await client.arrived();
    const second = client.call('setCursor', { ...cursor, offset: 2 }, 2 * HOUR);
    await client.arrived();
    const wall = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 10 * HOUR);
    closing({ close: () => wall.mockRestore() });
    broker.faults.endDeadlines('status');
    await broker.clock.advance(HOUR);
    expect(await first).toBe('DEADLINE_EXCEEDED');
    await second;
    wall.mockRestore();
    expect((await client.call('fetchCursor', cursor)).offset).toBe(2);
  });

  it('keeps the status of an injected DEADLINE_EXCEEDED', async () => {
    const { broker, client } = await running();
    broker.faults.endDeadlines('reset');
    broker.faults.rejectNext('FetchMetadata', 'DEADLINE_EXCEEDED', 'planned');
    await expect(client.call('fetchMetadata')).rejects.toEqual({ code: 'DEADLINE_EXCEEDED', details: 'planned' });
  });
});
