/** Bounds of what may be unacknowledged at a time. */
export interface WindowLimits {
  readonly messages: number;
  readonly bytes: number;
}

/** Something that takes room in the window. */
export interface Entry {
  /** Bytes that it counts for. */
  readonly bytes: number;
  /** True once it needs no room any more: it is passed over when its turn comes. */
  readonly settled: boolean;
}

/** Whether an entry that waited may still be admitted; asked when its turn comes. */
export type Admissible<T> = (entry: T) => boolean;

const COMPACT_AT = 1024;

/**
 * The in-flight bound of a publisher. What does not fit waits, and is admitted in the order in which it came. A single
 * entry larger than all of the window is admitted alone.
 */
export class Window<T extends Entry> {
  readonly #limits: WindowLimits;
  readonly #admit: (entry: T) => void;
  readonly #admissible: Admissible<T>;
  #messages = 0;
  #bytes = 0;
  #waiting: T[] = [];
  #head = 0;
  #admitting = false;

  /** `admit` is called for each entry when it has its room. What waited and is not `admissible` any more is passed over. */
  constructor(limits: WindowLimits, admit: (entry: T) => void, admissible: Admissible<T> = () => true) {
    this.#limits = limits;
    this.#admit = admit;
    this.#admissible = admissible;
  }

  /** Entries that have room now. */
  get inFlight(): number {
    return this.#messages;
  }

  /** Entries that wait for room. */
  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  /** Whether an entry that came now would be admitted at once. */
  get hasRoom(): boolean {
    return this.waiting === 0 && this.#messages < this.#limits.messages && this.#bytes < this.#limits.bytes;
  }

  /** Admits the entry, now or in its turn. */
  enter(entry: T): void {
    if (this.waiting === 0 && this.#fits(entry)) this.#take(entry);
    else this.#waiting.push(entry);
  }

  /** Gives back the room of an entry that was admitted. */
  leave(entry: T): void {
    this.#messages--;
    this.#bytes -= entry.bytes;
    if (this.waiting > 0) this.#next();
  }

  #fits(entry: T): boolean {
    if (this.#messages === 0) return true;
    return this.#messages < this.#limits.messages && this.#bytes + entry.bytes <= this.#limits.bytes;
  }

  #take(entry: T): void {
    this.#messages++;
    this.#bytes += entry.bytes;
    this.#admit(entry);
  }

  /** Admitting an entry may settle it, which gives back its room and would come here again. */
  #next(): void {
    if (this.#admitting) return;
    this.#admitting = true;
    while (this.#head < this.#waiting.length) {
      const entry = this.#waiting[this.#head]!;
      const wanted = !entry.settled && this.#admissible(entry);
      if (wanted && !this.#fits(entry)) break;
      this.#head++;
      if (wanted) this.#take(entry);
    }
    this.#admitting = false;
    this.#compact();
  }

  #compact(): void {
    if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
    } else if (this.#head > COMPACT_AT && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
  }
}
