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
  /** Throws what the source threw: after the acks of all that it gave before. */
  finish(): void;
  /** Tells a source that has not ended that no more is wanted. */
  leave(): Promise<void>;
}

/** One entry that the source gave and nobody took yet, or what it threw. */
abstract class HeldEntry {
  done = false;
  protected held = false;
  #next: Entry | undefined;
  #failure: { readonly error: unknown } | null = null;

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

  protected fail(error: unknown): void {
    this.#failure = { error };
    this.done = true;
  }
}

/** A source that answers at once. */
export class ReadyFeed extends HeldEntry implements MessageFeed {
  readonly waiting = null;
  readonly #iterator: Iterator<Entry>;

  constructor(source: Iterable<Entry>) {
    super();
    this.#iterator = source[Symbol.iterator]();
  }

  ready(): boolean {
    if (!this.held && !this.done) this.#ask();
    return this.held;
  }

  async leave(): Promise<void> {
    if (!this.done) this.#iterator.return?.();
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

  constructor(source: AsyncIterable<Entry>) {
    super();
    this.#iterator = source[Symbol.asyncIterator]();
  }

  ready(): boolean {
    if (!this.held && !this.done && this.waiting === null) this.waiting = this.#ask();
    return this.held;
  }

  async leave(): Promise<void> {
    if (this.done) return;
    const left = this.#iterator.return?.();
    if (this.waiting === null) await left;
    // A generator takes note only when the entry that it owes is there, which may be never.
    else left?.catch(() => undefined);
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
