import { crc32 } from 'node:zlib';
import { cursorWire, type wire } from 'liftbridge-client/protocol';
import type { TestBroker } from 'liftbridge-test-broker';
import { beforeAll, describe, expect, it } from 'vitest';
import { openBroker, shareBroker } from '../broker-fixture.js';
import type { ApiClient } from './api-client.js';

const PARTITIONS = 3;
const CURSOR = { stream: 's', partition: 2, cursorId: 'c' };

let broker: TestBroker;
let api: ApiClient;

beforeAll(async () => {
  ({ broker, api } = await shareBroker({ cursorsPartitions: PARTITIONS }));
});

const fetched = async (cursor: Partial<wire.FetchCursorRequest>) => (await api.call('FetchCursor', cursor)).offset;
const partitionOf = (key: string) => crc32(key) % PARTITIONS;

/** Two cursors that are kept in the same partition. */
function sharingPartition(stream: string) {
  const cursors = Array.from({ length: PARTITIONS + 1 }, (_, i) => ({ stream, partition: 0, cursorId: `c${i}` }));
  const partitions = cursors.map(({ cursorId }) => partitionOf(`${cursorId},${stream},0`));
  const second = partitions.findIndex((partition, i) => partitions.indexOf(partition) < i);
  return [cursors[partitions.indexOf(partitions[second]!)]!, cursors[second]!] as const;
}

/** A broker that begins to lead a partition of cursors, as at the end of a pause, clears its cache. */
async function emptyCache(partition: number) {
  await api.call('PauseStream', { name: '__cursors', partitions: [partition] });
  await api.call('Publish', { stream: '__cursors', partition, value: Buffer.from('no cursor') });
}

describe.each(['SetCursor', 'FetchCursor'] as const)('%s', (rpc) => {
  it.each([
    [{ cursorId: 'c' }, 'No stream provided'],
    [{ stream: 's' }, 'No cursorId provided'],
  ])('rejects %j', async (request, message) => {
    expect(await api.failure(rpc, request)).toEqual({ status: 'INVALID_ARGUMENT', message });
  });

  it('fails when cursors are disabled, and names the option that enables them', async () => {
    const { api: client } = await openBroker({ cursorsPartitions: 0 });
    const { status, message } = await client.failure(rpc, CURSOR);
    expect(status).toBe('INTERNAL');
    expect(message).toMatch(/^Cursors stream does not exist: start the test broker with cursorsPartitions above 0/);
  });
});

describe('SetCursor', () => {
  it('accepts any offset of any stream', async () => {
    for (const offset of [5n, 3n, 0n, -7n, 2n ** 62n]) {
      await api.call('SetCursor', { ...CURSOR, offset });
      expect(await fetched(CURSOR)).toBe(offset);
    }
  });

  it('works without a deadline', async () => {
    await api.call('SetCursor', { ...CURSOR, offset: 11n }, null);
    expect(await fetched(CURSOR)).toBe(11n);
  });

  it('stores a message in the partition that the checksum of its key selects', async () => {
    for (const cursorId of ['a', 'b', 'c', 'd']) {
      await api.call('SetCursor', { stream: 'where', partition: 7, cursorId, offset: 9n });
      const key = `${cursorId},where,7`;
      const stored = broker.messages('__cursors', partitionOf(key)).at(-1)!;
      expect(stored.key!.toString()).toBe(key);
      expect(cursorWire.Cursor.decode(stored.value!)).toEqual({
        stream: 'where',
        partition: 7,
        cursorId,
        offset: 9n,
      });
    }
  });

  it('confuses cursors whose names form the same key', async () => {
    await api.call('SetCursor', { stream: 'a,b', partition: 0, cursorId: 'c,d', offset: 4n });
    expect(await fetched({ stream: 'b', partition: 0, cursorId: 'c,d,a' })).toBe(4n);
  });

  it('fails with a text that contains that of the publish', async () => {
    const cursor = { stream: 'readonly', partition: 0, cursorId: 'x' };
    const id = partitionOf('x,readonly,0');
    await api.call('SetStreamReadonly', { name: '__cursors', partitions: [id], readonly: true });
    expect(await api.failure('SetCursor', { ...cursor, offset: 1n })).toEqual({
      status: 'INTERNAL',
      message: `rpc error: code = FailedPrecondition desc = readonly partition: ${id}`,
    });
    await api.call('SetStreamReadonly', { name: '__cursors', readonly: false });
  });
});

describe('FetchCursor', () => {
  it('returns -1 for a cursor that was never set', async () => {
    expect(await fetched({ stream: 'never', partition: 0, cursorId: 'x' })).toBe(-1n);
  });

  it('reads the last stored offset when the cache is empty, and resumes its partition to do so', async () => {
    for (const offset of [1n, 2n ** 62n, 8n]) await api.call('SetCursor', { ...CURSOR, offset });
    const partition = partitionOf('c,s,2');
    await api.call('PauseStream', { name: '__cursors', partitions: [partition] });
    // A cached cursor needs no partition.
    expect(await fetched(CURSOR)).toBe(8n);
    expect(await api.failure('FetchPartitionMetadata', { stream: '__cursors', partition })).toMatchObject({
      status: 'FAILED_PRECONDITION',
    });
    const other = Array.from({ length: 99 }, (_, i) => `other${i}`).find(
      (id) => partitionOf(`${id},s,2`) === partition,
    )!;
    expect(await fetched({ ...CURSOR, cursorId: other })).toBe(-1n);
    expect(await fetched(CURSOR)).toBe(8n);
    await expect(api.call('FetchPartitionMetadata', { stream: '__cursors', partition })).resolves.toBeDefined();
  });

  it('skips messages that are not cursors', async () => {
    const cursor = { stream: 'junk', partition: 0, cursorId: 'c' };
    const partition = partitionOf('c,junk,0');
    await api.call('SetCursor', { ...cursor, offset: 6n });
    const junk = { key: Buffer.from('c,junk,0'), value: Buffer.from('ffff', 'hex') };
    await api.call('Publish', { stream: '__cursors', partition, ...junk });
    await emptyCache(partition);
    expect(await fetched(cursor)).toBe(6n);
  });

  it('finds only the newest cursor of a readonly partition', async () => {
    const [older, newer] = sharingPartition('readonly-read');
    await api.call('SetCursor', { ...older, offset: 1n });
    await emptyCache(partitionOf(`${newer.cursorId},${newer.stream},0`));
    await api.call('SetCursor', { ...newer, offset: 2n });
    await api.call('SetStreamReadonly', { name: '__cursors', readonly: true });
    expect([await fetched(older), await fetched(newer)]).toEqual([-1n, 2n]);
    await api.call('SetStreamReadonly', { name: '__cursors', readonly: false });
  });

  it('does not resume a paused partition without messages', async () => {
    const { api: client } = await openBroker({ cursorsPartitions: 1 });
    await client.call('PauseStream', { name: '__cursors' });
    expect((await client.call('FetchCursor', CURSOR)).offset).toBe(-1n);
    expect(await client.failure('FetchPartitionMetadata', { stream: '__cursors', partition: 0 })).toMatchObject({
      status: 'FAILED_PRECONDITION',
    });
  });

  it('never returns an older offset than a cursor that is set meanwhile', async () => {
    for (let i = 0; i < 20; i++) {
      const cursor = { stream: 'race', partition: i, cursorId: 'c' };
      await Promise.all([
        fetched(cursor),
        api.call('SetCursor', { ...cursor, offset: 5n }),
        fetched(cursor),
        fetched(cursor),
      ]);
      expect(await fetched(cursor)).toBe(5n);
    }
  });

  it('finds a cursor that was removed from the cache', async () => {
    await api.call('SetCursor', { ...CURSOR, offset: 77n });
    const fillers = Array.from({ length: 600 }, (_, i) => fetched({ ...CURSOR, cursorId: `filler${i}` }));
    expect(new Set(await Promise.all(fillers))).toEqual(new Set([-1n]));
    expect(await fetched(CURSOR)).toBe(77n);
  });
});
