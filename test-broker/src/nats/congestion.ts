/** A buffer that fills up when its reader is slower than its writers. */
export interface Fillable {
  /** Whether writers should pause. */
  readonly congested: boolean;
}

/** The readers that fell behind while one writer's messages were delivered. */
export class Congestion {
  readonly #noted = new Set<Fillable>();

  /** Records a delivery to a reader that has fallen behind. */
  note(reader: Fillable): void {
    this.#noted.add(reader);
  }

  /** Returns the readers recorded since the last call. */
  take(): readonly Fillable[] {
    if (this.#noted.size === 0) return [];
    const noted = [...this.#noted];
    this.#noted.clear();
    return noted;
  }
}
