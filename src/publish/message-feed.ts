import { messageOf } from '../errors/quote.js';
import { HandlerError, LiftbridgeError } from '../errors.js';
import type { OutgoingMessage, Value } from './publish-options.js';

type Entry = Value | OutgoingMessage;

/** A source of messages. `publishAll` pulls one entry at a time, and only when there is room for it. */
export interface MessageFeed {
  /** True once the source has ended or thrown. */
  readonly done: boolean;
  /** Resolves when the requested entry has arrived; null while none is requested. */
  readonly waiting: Promise<void> | null;
  /** Whether there is an entry to take. Requests one when there is none. */
  ready(): boolean;
  /** Removes and returns the entry. */
  take(): Entry;
  /** Throws HandlerError when the source threw. Called after the acks of all earlier entries. */
  throwFailure(): void;
  /** Ends a source that has not ended. Rejects with HandlerError when that throws. */
  cancel(): Promise<void>;
}

/** Holds the entry that was not taken yet, or the error that the source threw. */
abstract class EntryHolder {
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

  throwFailure(): void {
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

  /** The error for a value that the source threw. Errors of this package have their own context, an abort its reason. */
  protected failure(thrown: unknown): unknown {
    if (LiftbridgeError.is(thrown) || (this.#signal?.aborted && thrown === this.#signal.reason)) return thrown;
    const text = `publishAll to stream "${this.#stream}": its source threw: ${messageOf(thrown)}`;
    return new HandlerError(text, { stream: this.#stream, operation: 'publishAll', cause: thrown });
  }
}

/** A feed of an iterable. */
export class SyncFeed extends EntryHolder implements MessageFeed {
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

  async cancel(): Promise<void> {
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

/** A feed of an async iterable. */
export class AsyncFeed extends EntryHolder implements MessageFeed {
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

  async cancel(): Promise<void> {
    if (this.done) return;
    const ended = this.#end();
    if (this.waiting === null) await ended;
    // A generator ends only after its pending entry has arrived, which may never happen.
    else ended.catch(() => undefined);
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
