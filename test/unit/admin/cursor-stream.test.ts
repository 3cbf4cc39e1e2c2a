import { describe, expect, it } from 'vitest';
import { CursorLog, cursorPartition, probeId, untilReadable } from '../../../src/admin/cursor-stream.js';
import { PartitionPausedError, PermissionDeniedError } from '../../../src/errors.js';
import { CURSORS_STREAM } from '../../../src/options.js';
import { FakeCluster } from '../consumer/fake-cluster.js';

const PARTITIONS = 3;
const WAITING = { timeout: 60_000 };

/** A cluster whose leader of the cursors shows what `state` says; `replicas` in sync. */
function cursors(state: (look: number) => { newestOffset: bigint; highWatermark: bigint }, replicas = 3) {
  let looks = 0;
  const cluster = new FakeCluster(({ method }) => (method === 'setCursor' ? {} : { metadata: state(++looks) }));
  const leading = { leader: { id: 'a', address: 'a:1' }, connection: 1 as number | null };
  return Object.assign(cluster, {
    leading,
    partitionCount: () => PARTITIONS,
    leader: () => leading.leader,
    callConnection: () => leading.connection,
    isr: () => Array.from({ length: replicas }, (_, id) => ({ id: `${id}`, address: '' })),
  });
}

const complete = () => ({ newestOffset: 7n, highWatermark: 7n });
const behind = () => ({ newestOffset: 7n, highWatermark: 4n });

describe('untilReadable', () => {
  it('waits until what was stored when it was called is committed', async () => {
    const cluster = cursors((look) => ({ newestOffset: 7n + BigInt(look), highWatermark: 4n + BigInt(look) }));
    await untilReadable(cluster.asCluster, 0, WAITING);
    expect(cluster.methods).toEqual(Array(4).fill('fetchPartitionMetadata'));
  });

  it('does not wait for a paused partition: reading a cursor resumes it', async () => {
    const cluster = cursors(() => {
      throw new PartitionPausedError('paused');
    });
    await untilReadable(cluster.asCluster, 0, WAITING);
    expect(cluster.calls).toHaveLength(1);
  });

  it('rejects with TIMEOUT when the leader does not show everything in time', async () => {
    const cluster = cursors(behind);
    const failure = untilReadable(cluster.asCluster, 2, { timeout: 50 });
    await expect(failure).rejects.toMatchObject({
      code: 'TIMEOUT',
      retryable: true,
      stream: CURSORS_STREAM,
      partition: 2,
    });
  });

  it('rejects with the reason of the signal', async () => {
    const cluster = cursors(behind);
    const controller = new AbortController();
    const failure = untilReadable(cluster.asCluster, 0, { ...WAITING, signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(failure).rejects.toThrow('enough');
  });

  it('writes a cursor of no meaning into the partition of a leader without replicas', async () => {
    const cluster = cursors(() => (cluster.methods.includes('setCursor') ? complete() : behind()), 1);
    await untilReadable(cluster.asCluster, 2, WAITING);
    const writes = cluster.calls.filter(({ method }) => method === 'setCursor');
    expect(writes.map(({ request }) => request)).toEqual([
      { cursorId: probeId(2, PARTITIONS), stream: CURSORS_STREAM, partition: 0, offset: 0n },
    ]);
  });

  it('writes seldom where there are replicas, which show by themselves what is committed', async () => {
    const cluster = cursors((look) => (look < 22 ? behind() : complete()));
    await untilReadable(cluster.asCluster, 0, WAITING);
    expect(cluster.methods.filter((method) => method === 'setCursor')).toHaveLength(2);
  });

  it('ends when this client may not write: it cannot learn more', async () => {
    const cluster = cursors(behind, 1);
    const { answer } = cluster;
    cluster.answer = (call, waiting) => {
      if (call.method === 'setCursor') throw new PermissionDeniedError('denied');
      return answer(call, waiting);
    };
    await untilReadable(cluster.asCluster, 0, WAITING);
    expect(cluster.methods.filter((method) => method === 'setCursor')).toHaveLength(1);
  });
});

describe('probeId', () => {
  it('names a cursor in each partition of the cursors stream', () => {
    for (const partitions of [1, 3, 100])
      for (let partition = 0; partition < partitions; partition++)
        expect(cursorPartition(probeId(partition, partitions), CURSORS_STREAM, 0, partitions)).toBe(partition);
  });
});

describe('CursorLog', () => {
  const left = { signal: new AbortController().signal, remaining: 60_000 };

  function log() {
    const cluster = cursors(complete);
    const cursorLog = new CursorLog(cluster.asCluster);
    const admit = (partition: number) => cursorLog.admit(partition, cluster.leading.leader, left);
    return { cluster, admit };
  }

  it('admits a connection once its leader was checked, for each partition', async () => {
    const { cluster, admit } = log();
    expect([await admit(0), await admit(0), await admit(0)]).toEqual([null, 1, 1]);
    expect(cluster.calls).toHaveLength(1);
    expect([await admit(1), await admit(1)]).toEqual([null, 1]);
    expect(cluster.calls).toHaveLength(2);
  });

  it('checks again when another broker leads, or the connection is a new one', async () => {
    const { cluster, admit } = log();
    expect([await admit(0), await admit(0)]).toEqual([null, 1]);
    cluster.leading.leader = { id: 'b', address: 'b:1' };
    expect([await admit(0), await admit(0)]).toEqual([null, 1]);
    cluster.leading.connection = 2;
    expect([await admit(0), await admit(0)]).toEqual([null, 2]);
    expect(cluster.calls).toHaveLength(3);
  });

  it('admits none while the next call has to connect: the broker behind it may have restarted', async () => {
    const { cluster, admit } = log();
    expect([await admit(0), await admit(0)]).toEqual([null, 1]);
    cluster.leading.connection = null;
    expect([await admit(0), await admit(0)]).toEqual([null, null]);
    cluster.leading.connection = 2;
    expect([await admit(0), await admit(0)]).toEqual([null, 2]);
  });
});
