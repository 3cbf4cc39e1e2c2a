import { Counted } from './counted.js';
import { UnawareLeader } from './unaware-leader.js';

/** Faults between brokers: separation and delays. */
export class NetworkFaults {
  readonly #changed: () => void;
  readonly #partitions: Counted<string>;
  readonly #unlisted: Counted<number>;
  /** By the index of the broker; null for every other. */
  readonly #metadataDelays = new Map<number | null, number>();
  /** Ends the silence of a broker's connections, by its index. */
  readonly #frozen = new Map<number, () => void>();
  #natsDown = false;
  readonly unawareLeader = new UnawareLeader();

  /** `changed`: called back after every change. */
  constructor(changed: () => void) {
    this.#changed = changed;
    this.#partitions = new Counted(changed);
    this.#unlisted = new Counted(changed);
  }

  /** Whether no broker reaches NATS. */
  get natsDown(): boolean {
    return this.#natsDown;
  }

  set natsDown(down: boolean) {
    this.#natsDown = down;
    this.#changed();
  }

  partition(i: number, j: number): () => void {
    return this.#partitions.add(pairOf(i, j));
  }

  /** Whether brokers `i` and `j` cannot reach each other. */
  isPartitioned(i: number, j: number): boolean {
    return this.#partitions.size > 0 && this.#partitions.has(pairOf(i, j));
  }

  heal(): void {
    this.#partitions.clear();
    this.#changed();
  }

  /** `silence`: begins the silence of the broker's connections; its result ends it after the broker has thawed. */
  freeze(i: number, silence: () => () => void): void {
    if (this.#frozen.has(i)) return;
    this.#frozen.set(i, silence());
    this.#changed();
  }

  thaw(i: number): void {
    const end = this.#frozen.get(i);
    if (!end) return;
    this.#frozen.delete(i);
    this.#changed();
    end();
  }

  /** Whether broker `i` is frozen. */
  isFrozen(i: number): boolean {
    return this.#frozen.size > 0 && this.#frozen.has(i);
  }

  unlist(i: number): () => void {
    return this.#unlisted.add(i);
  }

  /** Whether the other brokers leave broker `i` out of their lists. */
  isUnlisted(i: number): boolean {
    return this.#unlisted.has(i);
  }

  /** `i`: null for every broker. */
  delayMetadata(i: number | null, ms: number): void {
    if (i === null) this.#metadataDelays.clear();
    this.#metadataDelays.set(i, ms);
    this.#changed();
  }

  /** Milliseconds by which operations reach broker `i` late, unless it is the metadata leader. */
  metadataDelay(i: number): number {
    return this.#metadataDelays.get(i) ?? this.#metadataDelays.get(null) ?? 0;
  }

  /** Ends all faults. */
  clear(): void {
    this.#partitions.clear();
    this.#unlisted.clear();
    this.#metadataDelays.clear();
    this.unawareLeader.plan(0);
    // NATS first, so that a thawing broker can send its acks.
    this.#natsDown = false;
    for (const i of [...this.#frozen.keys()]) this.thaw(i);
    this.#changed();
  }
}

function pairOf(i: number, j: number): string {
  return i < j ? `${i},${j}` : `${j},${i}`;
}
