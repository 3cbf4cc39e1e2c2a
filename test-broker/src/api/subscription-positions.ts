import { wire } from 'liftbridge-client/protocol';
import { RpcError } from '../grpc/status.js';
import { LogError } from '../log/log-error.js';
import type { PartitionLog } from '../log/partition-log.js';

/** The offsets between which a subscription reads. */
export interface Positions {
  readonly start: number;
  /** The last offset, -1 for no end. */
  readonly stop: number;
}

/** The fields of a request that define its start and end. */
export type PositionRequest = Pick<
  wire.SubscribeRequest,
  'startPosition' | 'startOffset' | 'startTimestamp' | 'stopPosition' | 'stopOffset' | 'stopTimestamp'
>;

const MAX_OFFSET = BigInt(Number.MAX_SAFE_INTEGER);

/** The offsets of a request in a log in its current state. Throws RpcError. */
export function resolvePositions(request: PositionRequest, log: PartitionLog): Positions {
  const given = startOffset(request, log);
  const start = given < 0n ? 0n : given;
  const stop = stopOffset(request, log);
  if (stop !== -1n && stop < start)
    throw new RpcError('INVALID_ARGUMENT', `Stop offset is before start offset: ${stop} < ${start}`);
  return { start: toNumber(start), stop: toNumber(stop) };
}

/** No log has enough messages for this to matter. */
function toNumber(offset: bigint): number {
  return Number(offset > MAX_OFFSET ? MAX_OFFSET : offset);
}

function startOffset(request: PositionRequest, log: PartitionLog): bigint {
  switch (request.startPosition) {
    case wire.StartPosition.NEW_ONLY:
      return BigInt(log.nextOffset);
    case wire.StartPosition.OFFSET:
      return request.startOffset;
    case wire.StartPosition.EARLIEST:
      return BigInt(log.oldestOffset);
    case wire.StartPosition.LATEST:
      return BigInt(log.newestOffset);
    case wire.StartPosition.TIMESTAMP:
      return lookUp(() => log.startOffsetForTimestamp(request.startTimestamp));
    default:
      throw new RpcError('INVALID_ARGUMENT', `Unknown StartPosition ${Number(request.startPosition)}`);
  }
}

function stopOffset(request: PositionRequest, log: PartitionLog): bigint {
  switch (request.stopPosition) {
    case wire.StopPosition.STOP_ON_CANCEL:
      // Whether no further message can arrive.
      return log.readonly ? BigInt(log.newestOffset) : -1n;
    case wire.StopPosition.STOP_OFFSET:
      return request.stopOffset;
    case wire.StopPosition.STOP_LATEST:
      if (log.newestOffset === -1) throw new RpcError('RESOURCE_EXHAUSTED', 'Stream is empty');
      return BigInt(log.newestOffset);
    case wire.StopPosition.STOP_TIMESTAMP:
      return lookUp(() => log.stopOffsetForTimestamp(request.stopTimestamp));
    default:
      throw new RpcError('INVALID_ARGUMENT', `Unknown StopPosition ${Number(request.stopPosition)}`);
  }
}

function lookUp(find: () => number): bigint {
  try {
    return BigInt(find());
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    throw new RpcError('INTERNAL', `Failed to lookup offset for timestamp: ${error.message}`);
  }
}
