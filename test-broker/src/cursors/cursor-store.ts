import { crc32 } from 'node:zlib';
import { cursorWire, wire } from 'liftbridge-client/protocol';
import type { BrokerNode, Operation, PartitionState, StreamState } from '../cluster/contract.js';
import { pausedPartitions, resume } from '../cluster/resume.js';
import type { Authorize } from '../grpc/authorization.js';
import { goErrorText, RpcError, type StatusName } from '../grpc/status.js';
import { LogError } from '../log/log-error.js';
import type { PartitionLog } from '../log/partition-log.js';
import { publish } from '../publish/publish.js';
import type { PublishCaller } from '../publish/publish-caller.js';
import { CursorCache } from './cursor-cache.js';
import { CursorLock } from './cursor-lock.js';

/** The stream that stores cursors as messages. */
const CURSORS_STREAM = '__cursors';

const CACHE_CAPACITY = 512;
const DEFAULT_TIMEOUT_MS = 5_000;
/** The server returns only the text of these statuses: they come from below its gRPC library. */
const STATUSES_BELOW_GRPC: ReadonlySet<StatusName> = new Set(['UNKNOWN', 'DEADLINE_EXCEEDED', 'CANCELLED']);

/** The name of a cursor. */
export interface CursorName {
  readonly stream: string;
  readonly partition: number;
  readonly cursorId: string;
}

/** The cursors of this broker: those in the partitions of `__cursors` that it leads. */
export class CursorStore {
  readonly #node: BrokerNode;
  readonly #authorize: Authorize;
  readonly #cache = new CursorCache(CACHE_CAPACITY);
  /** The server has one lock for all cursors of a broker. */
  readonly #lock = new CursorLock();
  readonly #unlisten: () => void;

  constructor(node: BrokerNode, authorize: Authorize) {
    this.#node = node;
    this.#authorize = authorize;
    this.#unlisten = node.onApplied((_index, operation) => {
      if (this.#beginsToLead(operation)) this.#cache.clear();
    });
  }

  stop(): void {
    this.#unlisten();
  }

  /**
   * Stores an offset. Any offset is valid; neither the stream nor the partition has to exist. Rejects with RpcError.
   */
  async set(name: CursorName, offset: bigint, caller: PublishCaller): Promise<void> {
    const key = keyOf(name);
    const { partition } = this.#locate(key);
    const { stream, partition: id, cursorId } = name;
    const value = cursorWire.Cursor.encode({ stream, partition: id, cursorId, offset }).finish();
    const deadline = caller.deadline ?? this.#node.clock.now() + DEFAULT_TIMEOUT_MS;
    const request = cursorMessage(key, value, partition.id);
    const { identity, signal } = caller;
    await this.#lock.run(async () => {
      await orInternal(() => publish(this.#node, this.#authorize, request, { identity, signal, deadline }));
      this.#cache.set(key, offset);
    });
  }

  /** The stored offset, -1n when there is none. Rejects with RpcError. */
  async fetch(name: CursorName, caller: Pick<PublishCaller, 'deadline'>): Promise<bigint> {
    const key = keyOf(name);
    const { stream, partition } = this.#locate(key);
    await this.#lock.free();
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    return orInternal(async () => {
      await this.#resume(stream, partition.id, caller);
      const offset = this.#read(key, partition.id);
      // Cached at once: a later set must not be replaced by the earlier read. It is also cached where the log holds
      // more than is known to be committed, and returned until the cursor is set again.
      this.#cache.set(key, offset);
      return offset;
    });
  }

  #locate(key: string): { stream: StreamState; partition: PartitionState } {
    const stream = this.#node.stream(CURSORS_STREAM);
    if (!stream) throw new RpcError('INTERNAL', this.#missing());
    const id = crc32(key) % stream.partitions.length;
    const partition = stream.partitions[id]!;
    if (partition.leader !== this.#node.id)
      throw new RpcError('FAILED_PRECONDITION', `Server not leader for cursors partition ${id}`);
    return { stream, partition };
  }

  /** The text of the server. Where the broker was started without cursors, it also says how to enable them. */
  #missing(): string {
    const text = 'Cursors stream does not exist';
    if (this.#node.settings['cursors.stream.partitions'] > 0) return text;
    return `${text}: start the test broker with cursorsPartitions above 0, or a server with cursors.stream.partitions`;
  }

  /** A paused partition without readable messages stays paused. */
  async #resume(stream: StreamState, partition: number, { deadline }: Pick<PublishCaller, 'deadline'>): Promise<void> {
    const paused = pausedPartitions(stream, partition);
    if (paused.length === 0 || isBlank(this.#log(partition))) return;
    try {
      await resume(this.#node, CURSORS_STREAM, paused, deadline);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      throw new RpcError('INTERNAL', `Failed to resume stream: ${goErrorText(error)}`);
    }
  }

  #read(key: string, partition: number): bigint {
    const log = this.#log(partition);
    if (isBlank(log)) return -1n;
    log.requireOpen();
    return latestOffset(log, key);
  }

  #log(partition: number): PartitionLog {
    const log = this.#node.replica(CURSORS_STREAM, partition)?.log;
    if (!log) throw new RpcError('FAILED_PRECONDITION', 'Server not partition leader');
    return log;
  }

  #beginsToLead(operation: Operation): boolean {
    const { id } = this.#node;
    switch (operation.kind) {
      case 'change-leader':
        return operation.stream === CURSORS_STREAM && operation.leader === id;
      case 'create-stream':
      case 'resume-stream':
        return (
          operation.name === CURSORS_STREAM &&
          Boolean(this.#node.stream(CURSORS_STREAM)?.partitions.some(({ leader }) => leader === id))
        );
      default:
        return false;
    }
  }
}

/** The key of a cursor's messages. Its parts are not escaped, so two cursors may share a key. */
function keyOf({ cursorId, stream, partition }: CursorName): string {
  return `${cursorId},${stream},${partition}`;
}

/** Whether no message is committed, or none is retained. */
function isBlank(log: PartitionLog): boolean {
  return log.highWatermark === -1 || log.isEmpty;
}

/**
 * The offset in the newest committed message of a key, -1n when there is none. Messages that are no cursors, which any
 * client may publish to the stream, are ignored.
 */
function latestOffset(log: PartitionLog, key: string): bigint {
  const wanted = Buffer.from(key);
  for (const { key: found, value, offset } of log.recordsBackwards(log.highWatermark)) {
    const cursor = found?.equals(wanted) ? readCursor(value) : null;
    if (cursor) return cursor.offset;
    // The server reads with a subscription, which ends behind the newest message of a readonly partition.
    if (log.readonly && offset === log.newestOffset) break;
  }
  return -1n;
}

function readCursor(value: Uint8Array | null): cursorWire.Cursor | null {
  try {
    return cursorWire.Cursor.decode(value ?? new Uint8Array());
  } catch {
    // Undecodable bytes are no cursor.
    return null;
  }
}

function cursorMessage(key: string, value: Uint8Array, partition: number): wire.PublishRequest {
  return {
    key: Buffer.from(key),
    value,
    stream: CURSORS_STREAM,
    partition,
    headers: new Map(),
    ackInbox: '',
    correlationId: '',
    ackPolicy: wire.AckPolicy.ALL,
    expectedOffset: 0n,
  };
}

/** Converts failures as the server does for failures of its own calls. */
async function orInternal<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LogError) throw new RpcError('INTERNAL', error.message);
    if (!(error instanceof RpcError)) throw error;
    throw new RpcError('INTERNAL', STATUSES_BELOW_GRPC.has(error.status) ? error.message : goErrorText(error));
  }
}
