import type { Clock } from '../clock.js';
import type { PartitionStorage } from './storage.js';
import { Ticker } from './ticker.js';

const CHECKPOINT_INTERVAL_MS = 5_000;

/** How a {@link HighWatermark} is set up. */
export interface HighWatermarkOptions {
  readonly clock: Clock;
  readonly storage: PartitionStorage | null;
  /** Newest stored offset, -1 when there is none. */
  readonly newestOffset: number;
  /** Whether only the messages up to the last checkpoint are committed; else all stored messages are. */
  readonly checkpointed: boolean;
  /** Called when a checkpoint is due, to call `checkpoint` and report a disk that fails. */
  onDue(): void;
}

/** The last committed offset of a log, which is written to disk every five seconds. */
export class HighWatermark {
  readonly #storage: PartitionStorage | null;
  readonly #checkpoints: Ticker;
  #offset: number;
  /** The high watermark after a kill. */
  #checkpointed: number;

  constructor({ clock, storage, newestOffset, checkpointed, onDue }: HighWatermarkOptions) {
    this.#storage = storage;
    this.#checkpointed = storage === null ? -1 : Math.min(storage.loadHighWatermark(), newestOffset);
    this.#offset = checkpointed ? this.#checkpointed : newestOffset;
    this.#checkpoints = new Ticker(clock, CHECKPOINT_INTERVAL_MS, () => {
      onDue();
      return false;
    });
  }

  /** The offset, -1 when nothing is committed. */
  get offset(): number {
    return this.#offset;
  }

  /** Moves forward to an offset; returns whether it moved. */
  advance(offset: number): boolean {
    if (offset <= this.#offset) return false;
    this.#offset = offset;
    this.#checkpoints.want();
    return true;
  }

  /** A truncation has removed the messages after `newestOffset`. The high watermark itself stays, as in the server. */
  truncated(newestOffset: number): void {
    this.#checkpointed = Math.min(this.#checkpointed, newestOffset);
  }

  /** Goes back to the last checkpoint, as after a kill. */
  fallBack(newestOffset: number): void {
    this.#offset = Math.min(this.#checkpointed, newestOffset);
  }

  /** Makes the offset the checkpoint. `appended`: whether the log ever held a message; without one nothing goes to disk. */
  checkpoint(appended: boolean): void {
    if (appended) this.#storage?.checkpoint(this.#offset);
    this.#checkpointed = this.#offset;
  }

  start(): void {
    this.#checkpoints.start();
  }

  stop(): void {
    this.#checkpoints.stop();
  }
}
