import { monotonicNow } from '../async/clock.js';
import { orAbort, type Waiting } from '../async/deadline.js';
import { sleep } from '../async/sleep.js';
import { clearTimeout, setTimeout } from '../async/timers.js';
import type { Logger } from '../options.js';
import type { MetadataAnswer, Sought } from './metadata-answer.js';
import type { Sightings } from './sightings.js';
import { BRIEF_REQUEST } from './unary-calls.js';

/**
 * Whether a stream or group exists that some broker called unknown.
 * - `present`: a broker knows it
 * - `replaced`: a stream of that name exists, created at another time
 * - `gone`: certainly deleted; or, where this client has never seen it, certainly not there
 * - `unsure`: no broker whose word counts has answered. Try again after a pause
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

/** What the decision needs to know and to do. */
export interface ExistenceContext {
  readonly sightings: Sightings;
  readonly poll: Poll;
  /** Creation time of the cached stream; null when the cache does not know it. */
  createdAt(stream: string): number | null;
  /** Takes what is gone out of the cache. */
  forget(sought: Sought): void;
  /** What a broker's word counts as of now, by its id; null for an unknown broker. */
  testimony(brokerId: string): Parameters<Sightings['isCertain']>[2] | null;
  /** Milliseconds after which what is missing counts as gone, whoever says so. */
  readonly patience: number;
  readonly logger: Logger;
  /** Aborted when the client closes. */
  readonly closed: AbortSignal;
}

/** So many looks in a row must agree: a broker restores a snapshot in a moment, and applies a command a moment later. */
const LOOKS = 3;
const BETWEEN_LOOKS = 100;
/** Milliseconds that brokers have to answer one look, and that the others have once one has answered whose word counts. */
const LOOK = 1_500;
const GRACE = 300;
/** Pauses of those who wait for certainty. */
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 1_000;

/** The one decision about what a broker calls unknown, for every layer. Equal questions at the same time share one answer. */
export class ExistenceCheck {
  readonly #context: ExistenceContext;
  readonly #flights = new Map<string, Promise<Existence>>();

  constructor(context: ExistenceContext) {
    this.#context = context;
  }

  /** Decides; 'unsure' when the time is up. Rejects with the reason of the signal, or that of the closed client. */
  async decide(sought: Sought, { signal, timeout }: Waiting = {}): Promise<Existence> {
    const { closed } = this.#context;
    signal?.throwIfAborted();
    closed.throwIfAborted();
    const flight = this.#flight(sought);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Existence>((resolve) => {
      if (timeout !== undefined) timer = setTimeout(() => resolve('unsure'), Math.max(0, timeout));
    });
    try {
      const first = Promise.race([flight, late]);
      return await orAbort(signal === undefined ? first : orAbort(first, signal), closed);
    } finally {
      clearTimeout(timer);
    }
  }

  #flight(sought: Sought): Promise<Existence> {
    const key = JSON.stringify(sought);
    const known = this.#flights.get(key);
    if (known !== undefined) return known;
    const flight = this.#decide(sought).finally(() => this.#flights.delete(key));
    flight.catch(() => undefined); // those who wait are told
    this.#flights.set(key, flight);
    return flight;
  }

  async #decide(sought: Sought): Promise<Existence> {
    const { closed } = this.#context;
    const createdAt = this.#createdAt(sought);
    if (this.#saidDeleted(sought, createdAt)) return this.#gone(sought);
    for (let look = 1; ; look++) {
      const { found, unknown } = await this.#look(sought, createdAt);
      if (found !== null) return found;
      if (unknown.length === 0) return 'unsure';
      if (this.#isMissedForLong(sought)) return this.#gone(sought);
      if (!unknown.some((answer) => this.#counts(sought, createdAt, answer))) {
        this.#context.logger.debug({ sought }, 'unknown to brokers whose word does not count yet');
        return 'unsure';
      }
      if (look >= LOOKS) return this.#gone(sought);
      await sleep(BETWEEN_LOOKS, closed);
    }
  }

  #createdAt(sought: Sought): number | null {
    if ('group' in sought) return null;
    return sought.createdAt ?? this.#context.createdAt(sought.stream);
  }

  /** Whether the broker that ended a call because the stream is deleted is sure to speak of this stream, and not of one of its past. */
  #saidDeleted(sought: Sought, createdAt: number | null): boolean {
    if ('group' in sought || sought.deletedBy === undefined) return false;
    const testimony = this.#context.testimony(sought.deletedBy);
    return testimony !== null && this.#context.sightings.isCertain(sought, createdAt, testimony);
  }

  /** The patience counts for what was seen; what was never seen is not known to be missing. */
  #isMissedForLong(sought: Sought): boolean {
    const { sightings, patience } = this.#context;
    return sightings.hasSeen(sought) && sightings.missingFor(sought) >= patience;
  }

  #counts(sought: Sought, createdAt: number | null, { from }: MetadataAnswer): boolean {
    return from !== null && this.#context.sightings.isCertain(sought, createdAt, from);
  }

  /** Asks the brokers once. Ends with the first that knows it, or soon after the first whose "unknown" counts. */
  #look(sought: Sought, createdAt: number | null): Promise<Look> {
    const { poll, closed } = this.#context;
    const stop = new AbortController();
    const unknown: MetadataAnswer[] = [];
    const [streams, groups] = 'stream' in sought ? [[sought.stream], []] : [BRIEF_REQUEST, [sought.group]];
    return new Promise<Look>((resolve) => {
      const end = (found: Look['found']): void => {
        clearTimeout(timer);
        closed.removeEventListener('abort', onClosed);
        resolve({ found, unknown });
        stop.abort();
      };
      const onClosed = (): void => end(null);
      closed.addEventListener('abort', onClosed, { once: true });
      let timer = setTimeout(() => end(null), LOOK);
      let isGrace = false;
      const heard = (answer: MetadataAnswer): void => {
        const found = this.#match(sought, createdAt, answer);
        if (found === 'historic') return;
        if (found !== null) {
          end(found);
          return;
        }
        unknown.push(answer);
        if (isGrace || !this.#counts(sought, createdAt, answer)) return;
        isGrace = true;
        clearTimeout(timer);
        timer = setTimeout(() => end(null), GRACE);
      };
      void poll(streams, groups, heard, stop.signal).then(() => end(null));
    });
  }

  /** What an answer shows; 'historic' is a stream that a recovering broker has not deleted yet. Null when it does not know it. */
  #match(sought: Sought, createdAt: number | null, answer: MetadataAnswer): Look['found'] | 'historic' {
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

/** What one look has shown: what the first broker that knows it says, and the answers of those that do not. */
interface Look {
  readonly found: 'present' | 'replaced' | null;
  readonly unknown: readonly MetadataAnswer[];
}

/** Asks again, with back-off, until there is certainty or the time is up. Rejects with the reason of the signal. */
export async function untilCertain(
  cluster: { existence(sought: Sought, waiting?: Waiting): Promise<Existence> },
  sought: Sought,
  { signal, timeout = Number.POSITIVE_INFINITY }: Waiting = {},
): Promise<Existence> {
  const deadline = monotonicNow() + timeout;
  for (let delay = FIRST_PAUSE; ; delay = Math.min(LONGEST_PAUSE, delay * 2)) {
    const left = deadline - monotonicNow();
    const existence = await cluster.existence(sought, { signal, timeout: Number.isFinite(left) ? left : undefined });
    if (existence !== 'unsure' || monotonicNow() + delay >= deadline) return existence;
    await sleep(delay, signal);
  }
}
