import { deferred } from '../async/deferred.js';
import type { TimeoutEntry } from '../async/timeout-queue.js';
import type { Ack } from '../envelope.js';
import type { AddressedPublish, Destination } from './destinations.js';
import type { PublishQueue } from './publish-queue.js';

/** The parts of a publish. */
export interface PublishParts {
  readonly subject: string;
  /** The envelope. */
  readonly data: Buffer;
  /** Acks to wait for; 0 when it is complete once the NATS server has taken it. */
  readonly wanted: number;
  /** The correlation id of its acks; unused when none is wanted. */
  readonly correlationId: string;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

/** Why a publish that has not been sent waits. */
export type Wait =
  /** Earlier publishes fill `maxInFlight`. */
  | 'full'
  /** There is no connection. */
  | 'connection'
  /** Its subject does not respond. */
  | 'silence'
  /** When its turn came, an ack could no longer come in time. */
  | 'late';

/** One publish from the call until it settles, which happens exactly once. */
export class PendingPublish implements TimeoutEntry<PendingPublish>, AddressedPublish<PendingPublish> {
  readonly subject: string;
  readonly wanted: number;
  readonly correlationId: string;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly size: number;
  /** The acks that confirm that it was stored, one for each stream, in the order of their arrival. */
  readonly acks: Ack[] = [];
  /** The ack of the first stream that refused it. */
  refusal: Ack | null = null;
  data: Buffer | null;
  sent = false;
  /** Time of sending, as of `monotonicNow()`. */
  sentAt = 0;
  /** Why it had not been sent when this was last checked. */
  wait: Wait = 'full';
  waitsIn: PublishQueue<PendingPublish> | null = null;
  destination: Destination<PendingPublish> | null = null;
  settled = false;
  deadline = 0;
  earlier: PendingPublish | null = null;
  later: PendingPublish | null = null;
  readonly #outcome = deferred<Ack[]>();
  readonly #onSettled: (publish: PendingPublish) => void;
  /** Acks that came, refusals included. */
  #ackCount = 0;
  /** Streams that sent an ack, when acks of several streams are wanted. */
  #streams: Set<string> | null = null;

  /** `onSettled` is called once, before the promise settles. */
  constructor(parts: PublishParts, onSettled: (publish: PendingPublish) => void) {
    this.subject = parts.subject;
    this.data = parts.data;
    this.size = parts.data.length;
    this.wanted = parts.wanted;
    this.correlationId = parts.correlationId;
    this.timeout = parts.timeout;
    this.signal = parts.signal;
    this.#onSettled = onSettled;
  }

  /** Settles with the acks, or with the error. */
  get promise(): Promise<Ack[]> {
    return this.#outcome.promise;
  }

  /** Records the ack of a stream. False for a further ack of the same stream, which does not count. */
  recordAck(ack: Ack): boolean {
    if (this.wanted > 1 && !this.#isFirst(ack)) return false;
    this.#ackCount++;
    if (ack.error === 'ok') this.acks.push(ack);
    else this.refusal ??= ack;
    return true;
  }

  #isFirst({ stream, partitionSubject }: Ack): boolean {
    // A blank separates the two: no subject contains one.
    const name = `${partitionSubject} ${stream}`;
    this.#streams ??= new Set();
    if (this.#streams.has(name)) return false;
    this.#streams.add(name);
    return true;
  }

  /** Whether all acks that it waits for have come. */
  get complete(): boolean {
    return this.#ackCount >= this.wanted;
  }

  resolve(): void {
    if (this.#settle()) this.#outcome.resolve(this.acks);
  }

  reject(reason: unknown): void {
    if (this.#settle()) this.#outcome.reject(reason);
  }

  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.data = null;
    this.#onSettled(this);
    return true;
  }
}
