import { orAbort, type Waiting, within } from '../async/deadline.js';
import { deferred } from '../async/deferred.js';
import { SingleFlight } from '../async/single-flight.js';
import { sleep } from '../async/sleep.js';
import type { Logger } from '../options.js';
import type { MetadataAnswer, Sought } from './metadata-answer.js';
import type { Sightings } from './sightings.js';
import { POLL_GRACE_MS, POLL_PAUSE_MS, POLL_TIMEOUT_MS } from './timing.js';
import { BRIEF_REQUEST } from './unary-calls.js';

/**
 * Whether a stream or group exists that some broker called unknown.
 * - `present`: a broker knows it
 * - `replaced`: a stream of that name exists, created at another time
 * - `gone`: certainly deleted; or, where this client has never seen it, certainly not there
 * - `unsure`: no broker whose answer counts has answered: try again after a pause
 */
export type Existence = 'present' | 'replaced' | 'gone' | 'unsure';

/**
 * Asks several brokers at once for streams and groups; `heard` gets each answer as it comes. Resolves when all have
 * answered or failed, or the signal is aborted; never rejects.
 */
export type Poll = (
  streams: readonly string[],
  groups: readonly string[],
  heard: (answer: MetadataAnswer) => void,
  signal: AbortSignal,
) => Promise<void>;

/** Dependencies of the decision. */
export interface ExistenceContext {
  readonly sightings: Sightings;
  readonly poll: Poll;
  /** Creation time of the cached stream; null when the cache does not know it. */
  createdAt(stream: string): number | null;
  /** Removes what is gone from the cache. */
  forget(sought: Sought): void;
  /** The broker and its connection at this moment, by its id; null for an unknown broker. */
  testimony(brokerId: string): Parameters<Sightings['isCertain']>[2] | null;
  /** Milliseconds after which what is missing counts as gone, whichever broker says so. */
  readonly patience: number;
  readonly logger: Logger;
  /** Aborted when the client closes. */
  readonly closed: AbortSignal;
}

/** This many polls in a row have to agree. */
const AGREEING_POLLS = 3;

/** Decides for every layer whether what a broker calls unknown exists. Equal questions at the same time share one answer. */
export class ExistenceCheck {
  readonly #context: ExistenceContext;
  readonly #flights = new SingleFlight<string, Existence>();

  constructor(context: ExistenceContext) {
    this.#context = context;
  }

  /** Decides; 'unsure' when the time is up. Rejects with the reason of the signal, or that of the closed client. */
  async decide(sought: Sought, { signal, timeout }: Waiting = {}): Promise<Existence> {
    const { closed } = this.#context;
    signal?.throwIfAborted();
    closed.throwIfAborted();
    const flight = this.#flights.run(JSON.stringify(sought), () => this.#decide(sought));
    const answer = orAbort(orAbort(flight, signal), closed);
    return timeout === undefined ? await answer : ((await within(timeout, answer)) ?? 'unsure');
  }

  async #decide(sought: Sought): Promise<Existence> {
    const { closed } = this.#context;
    const createdAt = this.#createdAt(sought);
    if (this.#saidDeleted(sought, createdAt)) return this.#gone(sought);
    for (let poll = 1; ; poll++) {
      const { found, unknown } = await this.#pollOnce(sought, createdAt);
      if (found !== null) return found;
      if (unknown.length === 0) return 'unsure';
      if (this.#isMissedForLong(sought)) return this.#gone(sought);
      if (!unknown.some((answer) => this.#counts(sought, createdAt, answer))) {
        this.#context.logger.debug({ sought }, 'unknown to brokers whose answers do not count yet');
        return 'unsure';
      }
      if (poll >= AGREEING_POLLS) return this.#gone(sought);
      await sleep(POLL_PAUSE_MS, closed);
    }
  }

  #createdAt(sought: Sought): number | null {
    if ('group' in sought) return null;
    return sought.createdAt ?? this.#context.createdAt(sought.stream);
  }

  /** Whether the broker that ended a call with "deleted" certainly means this stream, and not an earlier one of the same name. */
  #saidDeleted(sought: Sought, createdAt: number | null): boolean {
    if ('group' in sought || sought.deletedBy === undefined) return false;
    const testimony = this.#context.testimony(sought.deletedBy);
    return testimony !== null && this.#context.sightings.isCertain(sought, createdAt, testimony);
  }

  /** Only what was seen can be missing: the patience does not count for other names. */
  #isMissedForLong(sought: Sought): boolean {
    const { sightings, patience } = this.#context;
    return sightings.hasSeen(sought) && sightings.missingFor(sought) >= patience;
  }

  #counts(sought: Sought, createdAt: number | null, { from }: MetadataAnswer): boolean {
    return from !== null && this.#context.sightings.isCertain(sought, createdAt, from);
  }

  /** Asks the brokers once. Ends with the first that knows it, or soon after the first whose "unknown" counts. */
  async #pollOnce(sought: Sought, createdAt: number | null): Promise<PollResult> {
    const { poll, closed } = this.#context;
    const stop = new AbortController();
    const unknown: MetadataAnswer[] = [];
    const known = deferred<PollResult['found']>();
    const certain = deferred<'certain'>();
    const heard = (answer: MetadataAnswer): void => {
      const found = this.#match(sought, createdAt, answer);
      if (found === 'historic') return;
      if (found !== null) {
        known.resolve(found);
        return;
      }
      unknown.push(answer);
      if (this.#counts(sought, createdAt, answer)) certain.resolve('certain');
    };
    const [streams, groups] = 'stream' in sought ? [[sought.stream], []] : [BRIEF_REQUEST, [sought.group]];
    const polled = poll(streams, groups, heard, stop.signal).then(() => null);
    const ended = orAbort(Promise.race([known.promise, polled]), closed);
    try {
      const first = await within(POLL_TIMEOUT_MS, Promise.race([ended, certain.promise]));
      return { found: first === 'certain' ? await within(POLL_GRACE_MS, ended) : first, unknown };
    } finally {
      stop.abort();
    }
  }

  /** The meaning of one answer; 'historic' is a stream that a recovering broker has not deleted yet. Null when the broker does not know it. */
  #match(sought: Sought, createdAt: number | null, answer: MetadataAnswer): PollResult['found'] | 'historic' {
    if ('group' in sought) return answer.groups.has(sought.group) ? 'present' : null;
    const info = answer.streams.get(sought.stream);
    if (info === undefined) return null;
    const created = info.createdAt.getTime();
    if (createdAt === null || created === createdAt) return 'present';
    const isBelieved = created > createdAt || (answer.from !== null && this.#context.sightings.isSettled(answer.from));
    return isBelieved ? 'replaced' : 'historic';
  }

  #gone(sought: Sought): Existence {
    this.#context.forget(sought);
    return 'gone';
  }
}

/** The result of one poll: what the first broker that knows it says, and the answers of those that do not. */
interface PollResult {
  readonly found: 'present' | 'replaced' | null;
  readonly unknown: readonly MetadataAnswer[];
}
