import { deferred } from 'liftbridge-client/protocol';
import type { PartitionReplica } from '../cluster/contract.js';
import type { StreamCall } from '../grpc/service.js';
import { RpcError, type StatusName } from '../grpc/status.js';
import type { Delivery } from '../log/forward-reader.js';
import { LogError } from '../log/log-error.js';
import type { PartitionLog } from '../log/partition-log.js';
import { queueMicrotask } from '../timers.js';

/** Reads the messages of a subscription, forward or backward. */
export interface Reader {
  /** Whether no message is left and none can follow. */
  readonly ended: boolean;
  read(maxBytes: number): Delivery;
}

/** The end of a subscription that has read every message there can be. */
export type EndOfData = readonly [status: StatusName, message: string];

const MAX_WRITE_BYTES = 256 * 1024;
const EMPTY_MESSAGE_FRAME = Buffer.alloc(5);

/**
 * An open subscription: it sends committed messages and waits for more at the high watermark, and for a slow client. It
 * reads and sends all messages of one turn together.
 */
export class LiveSubscription {
  readonly #call: StreamCall;
  readonly #log: PartitionLog;
  readonly #reader: Reader;
  readonly #closedBy: () => PartitionReplica['closedBy'];
  readonly #endOfData: EndOfData;
  readonly #unlisten: () => void;
  #waiting: 'client' | 'turn' | null = null;
  #over = false;
  readonly #done = deferred();

  constructor(
    call: StreamCall,
    source: { readonly log: PartitionLog; readonly closedBy: () => PartitionReplica['closedBy'] },
    reader: Reader,
    endOfData: EndOfData,
  ) {
    this.#call = call;
    this.#log = source.log;
    this.#closedBy = source.closedBy;
    this.#reader = reader;
    this.#endOfData = endOfData;
    this.#unlisten = this.#log.onChange((change) => {
      if (change === 'closed' || change === 'deleted') this.#closed();
      else this.#schedule();
    });
  }

  /** Confirms the subscription to the client, and serves it until its end. Rejects with RpcError. */
  async run(): Promise<void> {
    const { signal } = this.#call;
    const end = () => this.end();
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
    try {
      this.#call.sendHeaders();
      this.#call.write(EMPTY_MESSAGE_FRAME);
      this.#pump();
      await this.#done.promise;
    } finally {
      signal.removeEventListener('abort', end);
      this.end();
    }
  }

  /** Ends it without an error. */
  end(): void {
    this.#finish();
    this.#done.resolve();
  }

  #fail(status: StatusName, message: string): void {
    this.#finish();
    this.#done.reject(new RpcError(status, message));
  }

  #finish(): void {
    this.#over = true;
    this.#unlisten();
  }

  #schedule(): void {
    if (this.#waiting !== null || this.#over) return;
    this.#waiting = 'turn';
    queueMicrotask(() => {
      this.#waiting = null;
      this.#pump();
    });
  }

  #pump(): void {
    try {
      while (!this.#over && this.#waiting !== 'client') {
        if (!this.#step()) return;
      }
    } catch (error) {
      if (!(error instanceof LogError)) {
        this.#finish();
        this.#done.reject(error);
      } else if (this.#log.state !== 'open') this.#closed();
      else this.#fail('UNKNOWN', error.message);
    }
  }

  /** Sends the messages of one read; false when there are none. */
  #step(): boolean {
    const { frames, count, stopped } = this.#reader.read(MAX_WRITE_BYTES);
    const open = count === 0 || this.#send(frames);
    if (stopped) this.#fail('RESOURCE_EXHAUSTED', 'Stop offset reached');
    else if (this.#reader.ended) this.#fail(...this.#endOfData);
    else if (!open) this.#waitForClient();
    return count > 0;
  }

  #send(frames: readonly Buffer[]): boolean {
    return this.#call.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
  }

  #waitForClient(): void {
    this.#waiting = 'client';
    void this.#call.drained().then(() => {
      this.#waiting = null;
      this.#pump();
    });
  }

  #closed(): void {
    if (this.#over) return;
    if (this.#log.state === 'deleted') this.#fail('NOT_FOUND', 'commit log was deleted');
    else this.#fail(this.#closedBy() === 'pause' ? 'FAILED_PRECONDITION' : 'INTERNAL', 'commit log was closed');
  }
}
