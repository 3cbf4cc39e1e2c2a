import { deferred } from '../../async/deferred.js';
import { clearTimeout, setTimeout } from '../../async/timers.js';
import { HandlerError } from '../../errors.js';
import type { PartitionsCallback } from '../consumer-options.js';
import { ANNOUNCE_WINDOW_MS } from '../timing.js';
import type { HeldPartition } from './held-partition.js';

interface Round {
  readonly partitions: HeldPartition[];
  readonly told: Promise<void>;
  readonly tell: () => void;
  readonly timer: NodeJS.Timeout;
}

/** Tells the application of partitions before it is given messages of them: those of a stream together where possible. */
export class Announcements {
  readonly #onAssigned: PartitionsCallback | undefined;
  readonly #failed: (error: HandlerError) => void;
  readonly #rounds = new Map<string, Round>();

  constructor(onAssigned: PartitionsCallback | undefined, failed: (error: HandlerError) => void) {
    this.#onAssigned = onAssigned;
    this.#failed = failed;
  }

  /** Resolves when the application was told; `others`: partitions of the stream that are on their way here. */
  announce(held: HeldPartition, others: number): Promise<void> {
    if (this.#onAssigned === undefined) {
      held.announced = true;
      return Promise.resolve();
    }
    const round = this.#rounds.get(held.stream) ?? this.#open(held.stream);
    round.partitions.push(held);
    if (others === 0) round.tell();
    return round.told;
  }

  #open(stream: string): Round {
    const begun = deferred();
    const partitions: HeldPartition[] = [];
    const tell = (): void => {
      clearTimeout(round.timer);
      if (this.#rounds.get(stream) === round) this.#rounds.delete(stream);
      begun.resolve();
    };
    const round = {
      partitions,
      told: begun.promise.then(() => this.#call(stream, partitions)),
      tell,
      timer: setTimeout(tell, ANNOUNCE_WINDOW_MS),
    };
    this.#rounds.set(stream, round);
    return round;
  }

  async #call(stream: string, partitions: readonly HeldPartition[]): Promise<void> {
    const here = partitions.filter(({ signal }) => !signal.aborted);
    if (here.length === 0) return;
    for (const held of here) held.announced = true;
    try {
      await this.#onAssigned?.(
        stream,
        here.map(({ partition }) => partition).sort((a, b) => a - b),
      );
    } catch (cause) {
      const text = `onAssigned for stream "${stream}" threw`;
      const error = new HandlerError(text, { stream, operation: 'onAssigned', cause });
      this.#failed(error);
      throw error;
    }
  }
}
