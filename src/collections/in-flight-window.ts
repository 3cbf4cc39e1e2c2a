/** Limits of what is in flight at a time. */
export interface WindowLimits {
  readonly messages: number;
  readonly bytes: number;
}

/** Counts messages and bytes in flight against limits. A message larger than the limit in bytes fits alone. */
export class InFlightWindow {
  readonly #limits: WindowLimits;
  #messages = 0;
  #bytes = 0;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  /** Messages in flight. */
  get messages(): number {
    return this.#messages;
  }

  /** Whether neither limit is reached. */
  get hasRoom(): boolean {
    return this.#messages < this.#limits.messages && this.#bytes < this.#limits.bytes;
  }

  /** Whether a message of this size may be added now. */
  fits(bytes: number): boolean {
    if (this.#messages === 0) return true;
    return this.#messages < this.#limits.messages && this.#bytes + bytes <= this.#limits.bytes;
  }

  add(bytes: number): void {
    this.#messages++;
    this.#bytes += bytes;
  }

  /** Removes a message that was added with this size. */
  remove(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes;
  }
}
