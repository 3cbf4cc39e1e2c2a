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

/** A source that answers at once. */
export class ReadyFeed implements MessageFeed {
  readonly waiting = null;
  done = false;
  readonly #iterator: Iterator<Entry>;
  #next: Entry | undefined;
  #held = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(source: Iterable<Entry>) {
    this.#iterator = source[Symbol.iterator]();
  }

  ready(): boolean {
    if (!this.#held && !this.done) this.#ask();
    return this.#held;
  }

  take(): Entry {
    this.#held = false;
    return this.#next as Entry;
  }

  finish(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  async leave(): Promise<void> {
    if (!this.done) this.#iterator.return?.();
  }

  #ask(): void {
    try {
      const { done, value } = this.#iterator.next();
      this.done = done === true;
      this.#held = !this.done;
      if (this.#held) this.#next = value;
    } catch (error) {
      this.#failure = { error };
      this.done = true;
    }
  }
}

/** A source that lets one wait. */
export class SlowFeed implements MessageFeed {
  done = false;
  waiting: Promise<void> | null = null;
  readonly #iterator: AsyncIterator<Entry>;
  #next: Entry | undefined;
  #held = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(source: AsyncIterable<Entry>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  ready(): boolean {
    if (!this.#held && !this.done && this.waiting === null) this.waiting = this.#ask();
    return this.#held;
  }

  take(): Entry {
    this.#held = false;
    return this.#next as Entry;
  }

  finish(): void {
    if (this.#failure !== null) throw this.#failure.error;
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
      const { done, value } = await this.#iterator.next();
      if (done === true) this.done = true;
      else {
        this.#next = value;
        this.#held = true;
      }
    } catch (error) {
      this.#failure = { error };
      this.done = true;
    }
    this.waiting = null;
  }
}
