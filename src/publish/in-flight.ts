import type { TextSource } from '../protocol/wire-reader.js';
import type { Pending } from './pending.js';

const LONGEST_NUMBER = 11;
const RADIX = 36;

/**
 * The publishes in flight on one route, found by their correlation ids. Generated ids are a prefix and a number: they are
 * read off the bytes of a response without making text of them, which every single ack would pay for.
 */
export class InFlight implements TextSource {
  /** The publish that the last id stood for; null when it stood for none. */
  found: Pending | null = null;
  readonly #prefix: Buffer;
  readonly #numbered = new Map<number, Pending>();
  readonly #named = new Map<string, Pending>();

  /** `prefix`: what generated ids begin with, in ASCII. */
  constructor(prefix: string) {
    this.#prefix = Buffer.from(prefix, 'latin1');
  }

  add(pending: Pending): void {
    if (pending.chosenId) this.#named.set(pending.correlationId, pending);
    else this.#numbered.set(pending.number, pending);
  }

  delete(pending: Pending): void {
    if (pending.chosenId) this.#named.delete(pending.correlationId);
    else this.#numbered.delete(pending.number);
  }

  /** Takes all out, in the order in which they were published. */
  clear(): Pending[] {
    const all = [...this.#numbered.values(), ...this.#named.values()];
    this.#numbered.clear();
    this.#named.clear();
    return all.sort((a, b) => a.number - b.number);
  }

  match(source: Buffer, start: number, size: number): string | undefined {
    this.found = this.#byNumber(source, start, size) ?? this.#byName(source, start, size);
    return this.found?.correlationId;
  }

  #byNumber(source: Buffer, start: number, size: number): Pending | undefined {
    const prefix = this.#prefix;
    const digits = size - prefix.length;
    if (digits < 1 || digits > LONGEST_NUMBER) return undefined;
    for (let i = 0; i < prefix.length; i++) if (source[start + i] !== prefix[i]) return undefined;
    let number = 0;
    for (let i = prefix.length; i < size; i++) {
      const code = source[start + i]!;
      const digit = code < 0x61 ? code - 0x30 : code - 0x57;
      if (digit < 0 || digit >= RADIX) return undefined;
      number = number * RADIX + digit;
    }
    return this.#numbered.get(number);
  }

  #byName(source: Buffer, start: number, size: number): Pending | null {
    if (this.#named.size === 0) return null;
    return this.#named.get(source.toString('utf8', start, start + size)) ?? null;
  }
}

/** The number of a publish as its correlation id has it. */
export function numberText(number: number): string {
  return number.toString(RADIX);
}
