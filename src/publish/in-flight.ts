import type { EntrySource } from '../protocol/publish-response.js';

const MOST_DIGITS = 11;
const RADIX = 36;
const FEWEST_SLOTS = 256;
const MOST_SLOTS = 65_536;

/** A publish that can be found by its correlation id. */
export interface InFlightEntry {
  readonly correlationId: string;
  /** Its place in the order of the publisher; part of the correlation id unless the caller chose that. */
  readonly number: number;
  readonly chosenId: boolean;
}

/**
 * The publishes in flight on one publish stream, found by their correlation ids. Generated ids are a prefix and a number. The
 * number is read from the bytes of a response without decoding them to text, which would cost time for every ack. A ring
 * holds the publishes by number: acks come nearly in the order of the publishes, and a Map whose entries change all the
 * time makes garbage.
 */
export class InFlight<T extends InFlightEntry> implements EntrySource<T> {
  readonly #prefix: Buffer;
  #slots: (T | null)[] = new Array(FEWEST_SLOTS).fill(null);
  #count = 0;
  /** Publishes whose slot a later one has taken: their acks are late. */
  readonly #overtaken = new Map<number, T>();
  readonly #named = new Map<string, T>();

  /** `prefix` starts every generated id, in ASCII. */
  constructor(prefix: string) {
    this.#prefix = Buffer.from(prefix, 'latin1');
  }

  add(pending: T): void {
    if (pending.chosenId) {
      this.#named.set(pending.correlationId, pending);
      return;
    }
    if (++this.#count * 2 > this.#slots.length && this.#slots.length < MOST_SLOTS) this.#grow();
    this.#put(pending);
  }

  delete(pending: T): void {
    if (pending.chosenId) {
      this.#named.delete(pending.correlationId);
      return;
    }
    const slot = pending.number % this.#slots.length;
    if (this.#slots[slot] === pending) this.#slots[slot] = null;
    else if (!this.#overtaken.delete(pending.number)) return;
    this.#count--;
  }

  /** Number of publishes in flight. */
  get size(): number {
    return this.#count + this.#named.size;
  }

  /** Removes and returns the publishes that pass the test, in the order of the calls. */
  take(test: (pending: T) => boolean): T[] {
    const taken = this.#all().filter(test);
    for (const pending of taken) this.delete(pending);
    return taken;
  }

  /** Removes and returns all publishes, in the order of the calls. */
  clear(): T[] {
    const all = this.#all();
    this.#slots = new Array(FEWEST_SLOTS).fill(null);
    this.#count = 0;
    this.#overtaken.clear();
    this.#named.clear();
    return all;
  }

  #all(): T[] {
    const slotted = this.#slots.filter((pending) => pending !== null);
    const all = [...slotted, ...this.#overtaken.values(), ...this.#named.values()];
    return all.sort((a, b) => a.number - b.number);
  }

  #put(pending: T): void {
    const slot = pending.number % this.#slots.length;
    const earlier = this.#slots[slot] ?? null;
    if (earlier !== null) this.#overtaken.set(earlier.number, earlier);
    this.#slots[slot] = pending;
  }

  #grow(): void {
    const slots = this.#slots;
    this.#slots = new Array(slots.length * 4).fill(null);
    for (const pending of slots) if (pending !== null) this.#put(pending);
  }

  #numbered(number: number): T | undefined {
    const pending = this.#slots[number % this.#slots.length] ?? null;
    if (pending?.number === number) return pending;
    return this.#overtaken.size === 0 ? undefined : this.#overtaken.get(number);
  }

  find(source: Buffer, start: number, size: number): T | null {
    return this.#byNumber(source, start, size) ?? this.#byName(source, start, size);
  }

  match(source: Buffer, start: number, size: number): string | undefined {
    return this.find(source, start, size)?.correlationId;
  }

  #byNumber(source: Buffer, start: number, size: number): T | undefined {
    const prefix = this.#prefix;
    const digits = size - prefix.length;
    if (digits < 1 || digits > MOST_DIGITS) return undefined;
    for (let i = 0; i < prefix.length; i++) if (source[start + i] !== prefix[i]) return undefined;
    let number = 0;
    for (let i = prefix.length; i < size; i++) {
      const code = source[start + i]!;
      const digit = code < 0x61 ? code - 0x30 : code - 0x57;
      if (digit < 0 || digit >= RADIX) return undefined;
      number = number * RADIX + digit;
    }
    return this.#numbered(number);
  }

  #byName(source: Buffer, start: number, size: number): T | null {
    if (this.#named.size === 0) return null;
    return this.#named.get(source.toString('utf8', start, start + size)) ?? null;
  }
}

/** The number of a publish as text in its correlation id. */
export function numberText(number: number): string {
  return number.toString(RADIX);
}
