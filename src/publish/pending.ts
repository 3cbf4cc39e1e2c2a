import type { TimeoutEntry } from '../async/timeout-queue.js';
import type { AckPolicy } from '../protocol/generated/api.js';
import type { HeaderEntries } from '../protocol/headers.js';
import type { PublishFields } from '../protocol/publish-request.js';
import type { Ack } from '../protocol/received-ack.js';
import type { Entry } from './admission-queue.js';
import type { PartitionLane } from './lanes.js';
import type { Partitioner } from './partitioners.js';
import type { Route } from './route.js';

/** How a publish is told its end: exactly one call. An error is a LiftbridgeError, or the reason of an abort. */
export type Settle = (error: unknown, ack: Ack | null) => void;

/** The publishes between two flushes. */
export interface Generation {
  open: number;
  readonly done: Promise<void>;
  readonly resolve: () => void;
}

/** A publish from the call until it is settled: the request on the wire and all that has to be known of it here. */
export class Pending implements PublishFields, Entry, TimeoutEntry<Pending> {
  settled = false;
  /** True once it stands in the publish stream of a broker: the outcome is then the broker's to tell. */
  sent = false;
  /** How often it was sent and may have been stored. */
  attempts = 0;
  /** Responses that its partition had had when it was sent. */
  responsesBefore = 0;
  /** The highest offset that its partition had acknowledged when it was sent. */
  offsetBefore = -1n;
  /** Whether the room in the window is taken. */
  admitted = false;
  partition = 0;
  lane: PartitionLane | null = null;
  route: Route | null = null;
  deadline = 0;
  earlier: Pending | null = null;
  later: Pending | null = null;
  otherAcks: Ack[] | null = null;
  /** What went wrong at the last attempt. */
  lastError: unknown = null;
  /** The signal that ends it, if any. */
  signal: AbortSignal | null = null;
  /** Makes the error that its caller is told, once it has ended with one. */
  errorOf: ((pending: Pending) => unknown) | null = null;

  constructor(
    readonly stream: string,
    readonly key: Uint8Array | null,
    readonly value: Uint8Array | null,
    readonly headers: HeaderEntries | null,
    readonly ackInbox: string,
    readonly correlationId: string,
    /** Its place in the order of the publisher; part of the correlation id unless the caller chose that. */
    readonly number: number,
    readonly chosenId: boolean,
    readonly ackPolicy: AckPolicy,
    readonly expectedOffset: bigint,
    readonly fixedPartition: number | null,
    readonly partitioner: Partitioner | null,
    readonly bytes: number,
    readonly timeout: number,
    readonly generation: Generation,
    readonly settle: Settle,
  ) {}
}
