import { monotonicNow } from '../async/clock.js';
import { boundsUntil } from '../async/deadline.js';
import { type AdminCluster, findStream, unknownYet } from '../cluster/cluster-api.js';
import { CursorsDisabledError } from '../errors.js';
import {
  CALL_SHAPE,
  type CallOptions,
  CURSORS_STREAM,
  checkValue,
  identifier,
  int64,
  partitionId,
  readOptions,
  streamName,
} from '../options.js';
import { CursorLog, cursorPartition } from './cursor-stream.js';

/** The cursors that the cluster keeps: positions of readers, each under an id. */
export class Cursors {
  readonly #cluster: AdminCluster;
  readonly #log: CursorLog;

  constructor(cluster: AdminCluster) {
    this.#cluster = cluster;
    this.#log = new CursorLog(cluster);
  }

  /** Stores the position of a reader. */
  async set(
    cursorId: string,
    stream: string,
    partition: number,
    offset: bigint | number,
    given: CallOptions = {},
  ): Promise<void> {
    const options = read('setCursor', cursorId, stream, partition, given);
    checkValue('setCursor', 'offset', offset, int64());
    const home = await locate(this.#cluster, 'SetCursor', cursorId, stream, partition, options);
    const request = { cursorId, stream, partition, offset: BigInt(offset) };
    await this.#cluster.callLeader('setCursor', CURSORS_STREAM, home, request, options);
  }

  /** Reads a stored position, -1n when there is none; never an older one than was stored, see `CursorLog`. */
  async fetch(cursorId: string, stream: string, partition: number, given: CallOptions = {}): Promise<bigint> {
    const options = read('fetchCursor', cursorId, stream, partition, given);
    const home = await locate(this.#cluster, 'FetchCursor', cursorId, stream, partition, options);
    const { offset } = await this.#cluster.callLeader(
      'fetchCursor',
      CURSORS_STREAM,
      home,
      { cursorId, stream, partition },
      { ...options, admit: (broker, deadline) => this.#log.admit(home, broker, deadline) },
    );
    return offset;
  }
}

function read(where: string, cursorId: unknown, stream: unknown, partition: unknown, options: unknown): CallOptions {
  checkValue(where, 'cursorId', cursorId, identifier);
  checkValue(where, 'stream', stream, streamName);
  checkValue(where, 'partition', partition, partitionId);
  return readOptions<CallOptions>(where, options, CALL_SHAPE);
}

/** The partition of the cursors stream that keeps the cursor. Rejects with CURSORS_DISABLED, or with TIMEOUT while it is not certain that there is no such stream. */
async function locate(
  cluster: AdminCluster,
  operation: string,
  cursorId: string,
  stream: string,
  partition: number,
  options: CallOptions,
): Promise<number> {
  const found = await findCursors(cluster, options);
  if (found === 'present') return cursorPartition(cursorId, stream, partition, cluster.partitionCount(CURSORS_STREAM));
  const context = { operation, stream, partition };
  if (found === 'unsure') throw unknownYet(`${operation} of cursor "${cursorId}"`, 'the stream of cursors', context);
  throw new CursorsDisabledError(
    `${operation} of cursor "${cursorId}" failed: the server keeps no cursors. Set cursors.stream.partitions above 0 on the server, or cursorsPartitions on a test broker.`,
    context,
  );
}

async function findCursors(cluster: AdminCluster, options: CallOptions): ReturnType<typeof findStream> {
  if (cluster.partitionCount(CURSORS_STREAM) > 0) return 'present';
  const bounds = boundsUntil(monotonicNow() + (options.timeout ?? cluster.options.requestTimeout), options.signal);
  await cluster.refresh([CURSORS_STREAM], bounds());
  return await findStream(cluster, CURSORS_STREAM, bounds);
}
