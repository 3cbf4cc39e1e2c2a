import { clearTimeout, setTimeout } from '../async/timers.js';
import type { Ack } from '../envelope.js';

/** What a publish is made of. */
export interface PublishParts {
  readonly subject: string;
  /** The envelope. */
  readonly data: Buffer;
  /** Acks to wait for; 0 when it is done once written. */
  readonly wanted: number;
  /** Under which its acks come back; unused when none is wanted. */
  readonly correlationId: string;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

/** One publish from the call to its end, which comes exactly once. */
export class PendingPublish {
  readonly subject: string;
  readonly wanted: number;
  readonly correlationId: string;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly size: number;
  readonly acks: Ack[] = [];
  data: Buffer | null;
  sent = false;
  settled = false;
  readonly promise: Promise<Ack[]>;
  #resolve!: (acks: Ack[]) => void;
  #reject!: (reason: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #onSettled: (publish: PendingPublish) => void;

  /** `onExpired` is to settle it; `onSettled` is called once, before its promise tells anybody. */
  constructor(
    parts: PublishParts,
    onExpired: (publish: PendingPublish) => void,
    onSettled: (publish: PendingPublish) => void,
  ) {
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
    this.#timer = setTimeout(onExpired, parts.timeout, this);
  }

  /** Takes an ack in; the last one wanted resolves. */
  acknowledge(ack: Ack): void {
    this.acks.push(ack);
    if (this.acks.length >= this.wanted) this.resolve();
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
    clearTimeout(this.#timer);
    this.#onSettled(this);
    return true;
  }
}
