import { describe, expect, it } from 'vitest';
import { type ApiClient, eventually, type Failure } from '../cluster/clients.js';
import { running } from '../cluster/running.js';

/** Far longer than any test: only the brokers' clock reaches it. */
const HOUR = 3_600_000;

const CURSOR = { stream: 's', cursorId: 'k' };

async function fetch(client: ApiClient): Promise<number> {
  return (await client.call('fetchCursor', CURSOR)).offset;
}

describe('a cursor after a kill', () => {
  it.each([
    ['that of the last checkpoint', 5_000, 1],
    ['unknown without a checkpoint', 0, -1],
  ])('is %s, and remains so in the cache until it is set again', async (_name, ms, known) => {
    const { broker, client } = await running({ cursorsPartitions: 1 });
    await client.call('setCursor', { ...CURSOR, offset: 1 });
    await broker.clock.advance(ms);
    await client.call('setCursor', { ...CURSOR, offset: 7 });
    await broker.stopBroker(0);
    const recovery = await broker.startBroker(0, { hold: 'not-leading' });
    await recovery.release();
    const found = await eventually(
      () => fetch(client).catch(() => null),
      (offset) => offset !== null,
    );
    expect(found).toBe(known);
    // The high watermark is corrected, but the cache is not.
    await client.call('setCursor', { ...CURSOR, cursorId: 'other', offset: 3 });
    expect(await fetch(client)).toBe(known);
    await client.call('setCursor', { ...CURSOR, offset: 9 });
    expect(await fetch(client)).toBe(9);
  });
});

describe('the cursors of a broker', () => {
  it('wait for a SetCursor without an ack, whose message may be stored nevertheless', async () => {
    const { broker, client } = await running({ cursorsPartitions: 1 });
    await client.call('setCursor', { ...CURSOR, offset: 1 });
    broker.faults.dropAcks(1);
    const outcome = (call: Promise<unknown>) =>
      call.then(
        () => 'OK',
        ({ code }: Failure) => code,
      );
    const lost = outcome(client.call('setCursor', { ...CURSOR, cursorId: 'lost', offset: 2 }, HOUR));
    await client.arrived();
    const set = outcome(client.call('setCursor', { ...CURSOR, offset: 3 }, 2 * HOUR));
    let fetched: number | null = null;
    const fetching = client.call('fetchCursor', CURSOR, 2 * HOUR).then(({ offset }) => {
      fetched = offset;
    });
    await client.arrived();
    expect(fetched).toBeNull();
    await broker.clock.advance(HOUR);
    expect([await lost, await set]).toEqual(['DEADLINE_EXCEEDED', 'OK']);
    await fetching;
    expect(fetched).toBe(3);
    const stored = await client.call('fetchCursor', { ...CURSOR, cursorId: 'lost' });
    expect(stored.offset).toBe(2);
  });
});
