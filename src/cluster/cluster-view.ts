import type { Waiting } from '../async/deadline.js';
import type { ResolvedClientOptions } from '../options.js';
import type { EventHub } from './events.js';
import { type Existence, ExistenceCheck } from './existence.js';
import type { Metadata } from './metadata.js';
import type { MetadataAnswer, Sought, Testimony } from './metadata-answer.js';
import { type Belief, MetadataCache } from './metadata-cache.js';
import type { MetadataCalls } from './metadata-calls.js';
import type { Pool } from './pool.js';
import type { Sightings } from './sightings.js';
import { LONGEST_RECOVERY_MS } from './timing.js';

/** Dependencies of the view. */
export interface ClusterViewContext {
  readonly calls: MetadataCalls;
  readonly sightings: Sightings;
  readonly pool: Pool;
  readonly hub: EventHub;
  readonly options: Pick<ResolvedClientOptions, 'resubscribeTimeout' | 'logger'>;
  /** Aborted when the client closes. */
  readonly closed: AbortSignal;
}

/** Milliseconds after which what no broker knows counts as gone; no recovery takes longer. */
function patienceOf(resubscribeTimeout: number): number {
  return Math.max(resubscribeTimeout, LONGEST_RECOVERY_MS);
}

/** The client's view of the cluster: the cached metadata, and the rules that decide which answers it believes. */
export class ClusterView {
  readonly #context: ClusterViewContext;
  readonly #cache: MetadataCache;
  readonly #check: ExistenceCheck;

  constructor(context: ClusterViewContext) {
    this.#context = context;
    const { calls, sightings, hub, options, closed } = context;
    this.#cache = new MetadataCache((streams, groups) => calls.fetch(streams, groups), this.#belief(), hub);
    this.#check = new ExistenceCheck({
      sightings,
      patience: patienceOf(options.resubscribeTimeout),
      logger: options.logger,
      closed,
      poll: (streams, groups, heard, signal) => this.#poll(streams, groups, heard, signal),
      createdAt: (stream) => this.createdAt(stream),
      forget: (sought) => this.forget(sought),
      testimony: (brokerId) => this.#testimony(brokerId),
    });
  }

  /** The cached metadata. */
  get metadata(): Metadata {
    return this.#cache.snapshot;
  }

  /** Counts the changes of the cached metadata. */
  get version(): number {
    return this.#cache.version;
  }

  /** Creation time of a stream, in milliseconds since the epoch; null when the cache does not know it. */
  createdAt(stream: string): number | null {
    return this.metadata.streams.get(stream)?.createdAt.getTime() ?? null;
  }

  /** Names of the streams on exactly that subject. */
  streamsOnSubject(subject: string): readonly string[] {
    return this.#cache.streamsOnSubject(subject);
  }

  /** Fetches metadata, merges it into the cache and returns this one answer; no streams means all of them. */
  refresh(streams?: readonly string[], groups: readonly string[] = []): Promise<MetadataAnswer> {
    return this.#cache.refresh(streams === undefined || streams.length === 0 ? undefined : streams, groups);
  }

  /** Decides whether a stream or group exists that a broker called unknown. */
  existence(sought: Sought, waiting: Waiting): Promise<Existence> {
    return this.#check.decide(sought, waiting);
  }

  /** Whether a broker has named it, and it was not found to be gone since. */
  hasSeen(sought: Sought): boolean {
    return this.#context.sightings.hasSeen(sought);
  }

  /** Records that a stream was created a moment ago: some brokers may not know it yet. */
  noteCreated(stream: string): void {
    this.#context.sightings.noteCreated(stream);
  }

  /** Forgets what is gone. */
  forget(sought: Sought): void {
    this.#context.sightings.forget(sought);
    if ('stream' in sought) this.#cache.forget(sought.stream);
  }

  #belief(): Belief {
    const { sightings, options } = this.#context;
    const patience = patienceOf(options.resubscribeTimeout);
    return {
      isGone: ({ name: stream, createdAt }, { from }) => {
        const isCertain = from !== null && sightings.isCertain({ stream }, createdAt.getTime(), from);
        const isGone = isCertain || sightings.missingFor({ stream }) >= patience;
        if (isGone) sightings.forget({ stream });
        return isGone;
      },
      isSettled: ({ from }) => from !== null && sightings.isSettled(from),
    };
  }

  #poll(
    streams: readonly string[],
    groups: readonly string[],
    heard: (answer: MetadataAnswer) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const absorb = this.#cache.absorbing();
    const each = (answer: MetadataAnswer): void => {
      absorb(answer);
      heard(answer);
    };
    return this.#context.calls.poll(streams, groups, each, signal);
  }

  #testimony(brokerId: string): Testimony | null {
    const witness = this.#context.pool.route(brokerId);
    return witness === undefined ? null : { witness, since: witness.connectedSince };
  }
}
