import type { Ack } from '../protocol/received-ack.js';
import { type OutgoingMessage, outgoing, type PublishOptions, type Value } from './publish-options.js';
import type { Publisher } from './publisher.js';

type Entry = Value | OutgoingMessage;

/** What `publishAll` takes its messages from. */
export type PublishSource = Iterable<Entry> | AsyncIterable<Entry>;

/**
 * Pulls from the source as fast as the in-flight window allows and hands out the acks in source order. No more acks
 * are kept than the window holds messages: a reader that falls behind stops the source.
 */
export async function* publishAll(
  publisher: Publisher,
  stream: string,
  source: PublishSource,
  options: PublishOptions,
  limit: number,
): AsyncGenerator<Ack, void, undefined> {
  const acks: Promise<Ack | null>[] = [];
  const messages = Symbol.asyncIterator in source ? new SlowSource(source) : new ReadySource(source);
  try {
    for (;;) {
      while (acks.length < limit && publisher.window.hasRoom && messages.ready()) {
        acks.push(submit(publisher, stream, messages.take(), options));
      }
      const first = acks[0];
      if (first === undefined) {
        if (messages.done) {
          messages.finish();
          return;
        }
        await (messages.waiting ?? publisher.window.room());
        continue;
      }
      if (messages.waiting !== null && acks.length < limit) {
        // Acks go out while a slow source has nothing.
        await Promise.race([messages.waiting, settled(first)]);
        if (messages.ready() && publisher.window.hasRoom) continue;
      }
      void acks.shift();
      const ack = await first;
      if (ack !== null) yield ack;
    }
  } finally {
    await messages.leave();
  }
}

/** A source that answers at once. */
class ReadySource {
  readonly waiting = null;
  done = false;
  readonly #iterator: Iterator<Entry>;
  #next: Entry | undefined;
  #held = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(source: Iterable<Entry>) {
    this.#iterator = source[Symbol.iterator]();
  }

  /** Whether there is an entry to take. */
  ready(): boolean {
    if (!this.#held && !this.done) this.#ask();
    return this.#held;
  }

  take(): Entry {
    this.#held = false;
    return this.#next as Entry;
  }

  /** Throws what the source threw: after the acks of all that it gave before. */
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

/** A source that lets one wait: it is asked for one entry at a time, and only when there is room. */
class SlowSource {
  done = false;
  /** Resolves when the entry that was asked for is there; null while none was asked for. */
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

  /** Throws what the source threw: after the acks of all that it gave before. */
  finish(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  async leave(): Promise<void> {
    if (!this.done && this.#failure === null) await this.#iterator.return?.();
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

/** Resolves when the ack is there, or failed: the loop looks at it itself. */
async function settled(ack: Promise<unknown>): Promise<void> {
  await Promise.allSettled([ack]);
}

function submit(publisher: Publisher, stream: string, entry: Entry, common: PublishOptions): Promise<Ack | null> {
  const ack = attempt(publisher, stream, entry, common);
  // An error is thrown when its turn comes; until then, and for a reader that left, it must not count as unhandled.
  ack.catch(() => undefined);
  return ack;
}

function attempt(publisher: Publisher, stream: string, entry: Entry, common: PublishOptions): Promise<Ack | null> {
  try {
    const { value, options } = outgoing(entry, common);
    return publisher.publish(stream, value, options);
  } catch (error) {
    return Promise.reject(error);
  }
}
