import { Fifo } from '../collections/fifo.js';
import { InFlightWindow, type WindowLimits } from '../collections/in-flight-window.js';

/** An entry that takes room. */
export interface Entry {
  /** Bytes that it counts for. */
  readonly bytes: number;
  /** True once it needs no room: the queue skips it then. */
  readonly settled: boolean;
}

/** Whether an entry that waited may still be admitted when its turn comes. */
export type Admissible<T> = (entry: T) => boolean;

/**
 * Bounds the publishes in flight. An entry that does not fit waits. Entries are admitted in the order of their arrival. An
 * entry above the limit in bytes is admitted alone.
 */
export class AdmissionQueue<T extends Entry> {
  readonly #window: InFlightWindow;
  readonly #admit: (entry: T) => void;
  readonly #admissible: Admissible<T>;
  readonly #waiting = new Fifo<T>();
  #admitting = false;

  /** Calls `admit` for each entry that gets room. Skips an entry that waited and is no longer `admissible`. */
  constructor(limits: WindowLimits, admit: (entry: T) => void, admissible: Admissible<T> = () => true) {
    this.#window = new InFlightWindow(limits);
    this.#admit = admit;
    this.#admissible = admissible;
  }

  /** Entries that have room now. */
  get inFlight(): number {
    return this.#window.messages;
  }

  /** Entries that wait for room. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether an entry that arrives now is admitted at once. */
  get hasRoom(): boolean {
    return this.#waiting.empty && this.#window.hasRoom;
  }

  /** Admits the entry, now or in its turn. */
  enter(entry: T): void {
    if (this.#waiting.empty && this.#window.fits(entry.bytes)) this.#take(entry);
    else this.#waiting.push(entry);
  }

  /** Frees the room of an entry that was admitted. */
  leave(entry: T): void {
    this.#window.remove(entry.bytes);
    if (!this.#waiting.empty) this.#next();
  }

  #take(entry: T): void {
    this.#window.add(entry.bytes);
    this.#admit(entry);
  }

  /** Admitting an entry may settle it, which frees its room and calls this again. */
  #next(): void {
    if (this.#admitting) return;
    this.#admitting = true;
    for (let entry = this.#waiting.first; entry !== undefined; entry = this.#waiting.first) {
      const wanted = !entry.settled && this.#admissible(entry);
      if (wanted && !this.#window.fits(entry.bytes)) break;
      this.#waiting.shift();
      if (wanted) this.#take(entry);
    }
    this.#admitting = false;
  }
}
