/** Something that fills up when its reader is slower than its writers. */
export interface Fillable {
  /** Whether so much waits that writers should hold back. */
  readonly congested: boolean;
}

/** Which readers fell behind while one writer's messages were delivered. */
export class Congestion {
  readonly #noted = new Set<Fillable>();

  /** Called at a delivery to a reader that has fallen behind. */
  note(reader: Fillable): void {
    this.#noted.add(reader);
  }

  /** Those noted since the last call. */
  take(): readonly Fillable[] {
    if (this.#noted.size === 0) return [];
    const noted = [...this.#noted];
    this.#noted.clear();
    return noted;
  }
}
