import { monotonicNow } from '../async/clock.js';
import { CursorsDisabledError } from '../errors.js';
import {
  CALL_SHAPE,
  type CallOptions,
  checkValue,
  identifier,
  int64,
  partitionId,
  readOptions,
  streamName,
} from '../options.js';
import { CURSORS, type CursorLog } from './cursor-log.js';
import { cursorPartition } from './cursor-partition.js';
import { untilCertain } from './existence.js';
import { unknownYet } from './lookup.js';
import type { Router } from './router.js';

/** Stores the position of a reader. */
export async function setCursor(
  router: Router,
  cursorId: string,
  stream: string,
  partition: number,
  offset: bigint | number,
  given: CallOptions = {},
): Promise<void> {
  const options = read('setCursor', cursorId, stream, partition, given);
  checkValue('setCursor', 'offset', offset, int64());
  const home = await locate(router, 'SetCursor', cursorId, stream, partition, options);
  const request = { cursorId, stream, partition, offset: BigInt(offset) };
  await router.callLeader('setCursor', CURSORS, home, request, options);
}

/** Reads a stored position, -1n when there is none; never an older one than was stored, see `CursorLog`. */
export async function fetchCursor(
  router: Router,
  log: CursorLog,
  cursorId: string,
  stream: string,
  partition: number,
  given: CallOptions = {},
): Promise<bigint> {
  const options = read('fetchCursor', cursorId, stream, partition, given);
  const home = await locate(router, 'FetchCursor', cursorId, stream, partition, options);
  const { offset } = await router.callLeader(
    'fetchCursor',
    CURSORS,
    home,
    { cursorId, stream, partition },
    { ...options, admit: (broker, deadline) => log.admit(home, broker, deadline) },
  );
  return offset;
}

function read(where: string, cursorId: unknown, stream: unknown, partition: unknown, options: unknown): CallOptions {
  checkValue(where, 'cursorId', cursorId, identifier);
  checkValue(where, 'stream', stream, streamName);
  checkValue(where, 'partition', partition, partitionId);
  return readOptions<CallOptions>(where, options, CALL_SHAPE);
}

async function locate(
  router: Router,
  operation: string,
  cursorId: string,
  stream: string,
  partition: number,
  options: CallOptions,
): Promise<number> {
  const partitions = await cursorPartitions(router, options);
  if (partitions > 0) return cursorPartition(cursorId, stream, partition, partitions);
  const context = { operation, stream, partition };
  if (partitions < 0) throw unknownYet(`${operation} of cursor "${cursorId}"`, 'the stream of cursors', context);
  throw new CursorsDisabledError(
    `${operation} of cursor "${cursorId}" failed: the server keeps no cursors. Set cursors.stream.partitions above 0 on the server, or cursorsPartitions on a test broker.`,
    context,
  );
}

/** Number of partitions of the cursors stream; 0 when it is certain that there is none, -1 while that is not certain. */
async function cursorPartitions(router: Router, options: CallOptions): Promise<number> {
  if (router.partitionCount(CURSORS) > 0) return router.partitionCount(CURSORS);
  const deadline = monotonicNow() + (options.timeout ?? router.options.requestTimeout);
  const left = () => ({ signal: options.signal, timeout: Math.max(1, deadline - monotonicNow()) });
  await router.refresh([CURSORS], left());
  if (router.partitionCount(CURSORS) > 0) return router.partitionCount(CURSORS);
  const existence = await untilCertain(router, { stream: CURSORS }, left());
  return existence === 'gone' ? 0 : router.partitionCount(CURSORS) || -1;
}
