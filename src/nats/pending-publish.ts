import type { TimeoutEntry } from '../async/timeout-queue.js';
import type { Ack } from '../envelope.js';
import type { Destination } from './destinations.js';
import type { PublishQueue } from './publish-queue.js';

/** The parts of a publish. */
export interface PublishParts {
  readonly subject: string;
  /** The envelope. */
  readonly data: Buffer;
  /** Answers to wait for; 0 when it is done once written. */
  readonly wanted: number;
  /** Under which its acks come back; unused when none is wanted. */
  readonly correlationId: string;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

/** Why a publish that has not been sent waits. */
export type Wait =
  /** What was published before it fills the window. */
  | 'window'
  /** There is no connection. */
  | 'connection'
  /** Its subject does not answer. */
  | 'silence'
  /** It waited for its turn until an ack could not come in time any more. */
  | 'late';

/** One publish from the call to its end, which comes exactly once. */
export class PendingPublish implements TimeoutEntry<PendingPublish> {
  readonly subject: string;
  readonly wanted: number;
  readonly correlationId: string;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly size: number;
  /** Those that say that it was stored, one a stream, in the order of their arrival. */
  readonly acks: Ack[] = [];
  /** The answer of the first stream that refused it. */
  refusal: Ack | null = null;
  data: Buffer | null;
  sent = false;
  /** When it was sent, in milliseconds of `monotonicNow()`. */
  sentAt = 0;
  /** Why it was not sent at the last look. */
  wait: Wait = 'window';
  waitsIn: PublishQueue | null = null;
  destination: Destination | null = null;
  settled = false;
  deadline = 0;
  earlier: PendingPublish | null = null;
  later: PendingPublish | null = null;
  readonly promise: Promise<Ack[]>;
  #resolve!: (acks: Ack[]) => void;
  #reject!: (reason: unknown) => void;
  readonly #onSettled: (publish: PendingPublish) => void;
  #answers = 0;
  /** Streams that answered, where several are waited for. */
  #answered: Set<string> | null = null;

  /** `onSettled` is called once, before its promise tells anybody. */
  constructor(parts: PublishParts, onSettled: (publish: PendingPublish) => void) {
    this.subject = parts.subject;
    this.data = parts.data;
    this.size = parts.data.length;
    this.wanted = parts.wanted;
    this.correlationId = parts.correlationId;
    this.timeout = parts.timeout;
    this.signal = parts.signal;
    this.#onSettled = onSettled;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Takes the answer of a stream in. False for a further one of the same stream, which is left out. */
  take(ack: Ack): boolean {
    if (this.wanted > 1 && !this.#isFirst(ack)) return false;
    this.#answers++;
    if (ack.error === 'ok') this.acks.push(ack);
    else this.refusal ??= ack;
    return true;
  }

  #isFirst({ stream, partitionSubject }: Ack): boolean {
    // No subject has a blank in it.
    const name = `${partitionSubject} ${stream}`;
    this.#answered ??= new Set();
    if (this.#answered.has(name)) return false;
    this.#answered.add(name);
    return true;
  }

  /** Whether all answers that it waits for are there. */
  get complete(): boolean {
    return this.#answers >= this.wanted;
  }

  resolve(): void {
    if (this.#settle()) this.#resolve(this.acks);
  }

  reject(reason: unknown): void {
    if (this.#settle()) this.#reject(reason);
  }

  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.data = null;
    this.#onSettled(this);
    return true;
  }
}
