/** The first offset of an epoch. */
export interface EpochStart {
  readonly epoch: number;
  readonly startOffset: number;
}

/**
 * The history of leader epochs: which epoch wrote which offsets. A replica that comes back asks the leader where its
 * own last epoch ended, and drops later messages.
 */
export class LeaderEpochs {
  #starts: EpochStart[];

  constructor(starts: readonly EpochStart[] = []) {
    this.#starts = [...starts];
  }

  /** The history, oldest first. */
  get starts(): readonly EpochStart[] {
    return this.#starts;
  }

  /** The latest epoch, 0 when there is none. */
  get last(): number {
    return this.#starts[this.#starts.length - 1]?.epoch ?? 0;
  }

  /** Records the start of an epoch at this offset. An epoch that is not later than the last one is ignored. */
  begin(epoch: number, startOffset: number): void {
    if (epoch <= this.last) return;
    // An epoch without messages is replaced by the next one.
    while (this.#starts.length > 0 && this.#starts[this.#starts.length - 1]!.startOffset >= startOffset) {
      this.#starts.pop();
    }
    this.#starts.push({ epoch, startOffset });
  }

  /** The epoch that wrote this offset, 0 for an unknown one. */
  epochOf(offset: number): number {
    let epoch = 0;
    for (const start of this.#starts) {
      if (start.startOffset > offset) break;
      epoch = start.epoch;
    }
    return epoch;
  }

  /** The last offset of this epoch or an earlier one; `newest` when no later epoch is known. */
  lastOffset(epoch: number, newest: number): number {
    const later = this.#starts.find((start) => start.epoch > epoch);
    return later === undefined ? newest : later.startOffset - 1;
  }

  /** Removes epochs that began at this offset or later. */
  truncate(offset: number): void {
    this.#starts = this.#starts.filter((start) => start.startOffset < offset);
  }

  /** Removes epochs that ended before this offset, which becomes the start of the epoch that wrote it. */
  dropBefore(offset: number): void {
    const epoch = this.epochOf(offset);
    if (epoch === 0) return;
    const later = this.#starts.filter((start) => start.startOffset > offset);
    const oldest = this.#starts.find((start) => start.epoch === epoch)!;
    this.#starts = [{ epoch, startOffset: Math.max(oldest.startOffset, offset) }, ...later];
  }
}
