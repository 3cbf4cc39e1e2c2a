import { messageOf } from '../errors/quote.js';
import { HandlerError, LiftbridgeError } from '../errors.js';
import type { OutgoingMessage, Value } from './publish-options.js';

type Entry = Value | OutgoingMessage;

/** A source of messages as `publishAll` pulls it: one entry at a time, and only when there is room for it. */
export interface MessageFeed {
  /** True once the source has ended or thrown. */
  readonly done: boolean;
  /** Resolves when the entry that was asked for is there; null while none was asked for. */
  readonly waiting: Promise<void> | null;
  /** Whether there is an entry to take; asks for one where there is none. */
  ready(): boolean;
  /** Takes the entry that is there. */
  take(): Entry;
  /** Throws HandlerError when the source threw: after the acks of all that it gave before. */
  finish(): void;
  /** Tells a source that has not ended that no more is wanted. Rejects with HandlerError when that throws. */
  leave(): Promise<void>;
}

/** An entry of the source that was not taken yet, or the error that the source threw. */
abstract class HeldEntry {
  done = false;
  protected held = false;
  #next: Entry | undefined;
  #failure: { readonly error: unknown } | null = null;
  readonly #stream: string;
  readonly #signal: AbortSignal | undefined;

  constructor(stream: string, signal: AbortSignal | undefined) {
    this.#stream = stream;
    this.#signal = signal;
  }

  take(): Entry {
    this.held = false;
    return this.#next as Entry;
  }

  finish(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  protected hold({ done, value }: IteratorResult<Entry, unknown>): void {
    if (done === true) this.done = true;
    else {
      this.#next = value;
      this.held = true;
    }
  }

  protected fail(thrown: unknown): void {
    this.#failure = { error: this.failure(thrown) };
    this.done = true;
  }

  /** The error for what the source threw. Errors of this package tell their own context, an abort has its reason. */
  protected failure(thrown: unknown): unknown {
    if (LiftbridgeError.is(thrown) || (this.#signal?.aborted && thrown === this.#signal.reason)) return thrown;
    const text = `publishAll to stream "${this.#stream}": its source threw: ${messageOf(thrown)}`;
    return new HandlerError(text, { stream: this.#stream, operation: 'publishAll', cause: thrown });
  }
}

/** A source that answers at once. */
export class ReadyFeed extends HeldEntry implements MessageFeed {
  readonly waiting = null;
  readonly #iterator: Iterator<Entry>;

  constructor(iterator: Iterator<Entry>, stream: string, signal: AbortSignal | undefined) {
    super(stream, signal);
    this.#iterator = iterator;
  }

  ready(): boolean {
    if (!this.held && !this.done) this.#ask();
    return this.held;
  }

  async leave(): Promise<void> {
    try {
      if (!this.done) this.#iterator.return?.();
    } catch (thrown) {
      throw this.failure(thrown);
    }
  }

  #ask(): void {
    try {
      this.hold(this.#iterator.next());
    } catch (error) {
      this.fail(error);
    }
  }
}

/** A source that lets one wait. */
export class SlowFeed extends HeldEntry implements MessageFeed {
  waiting: Promise<void> | null = null;
  readonly #iterator: AsyncIterator<Entry>;

  constructor(iterator: AsyncIterator<Entry>, stream: string, signal: AbortSignal | undefined) {
    super(stream, signal);
    this.#iterator = iterator;
  }

  ready(): boolean {
    if (!this.held && !this.done && this.waiting === null) this.waiting = this.#ask();
    return this.held;
  }

  async leave(): Promise<void> {
    if (this.done) return;
    const left = this.#end();
    if (this.waiting === null) await left;
    // A generator takes note only when the entry that it owes is there, which may be never.
    else left.catch(() => undefined);
  }

  async #end(): Promise<void> {
    try {
      await this.#iterator.return?.();
    } catch (thrown) {
      throw this.failure(thrown);
    }
  }

  async #ask(): Promise<void> {
    try {
      this.hold(await this.#iterator.next());
    } catch (error) {
      this.fail(error);
    }
    this.waiting = null;
  }
}
