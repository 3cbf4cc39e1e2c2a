import { Backoff } from '../async/backoff.js';
import { monotonicNow } from '../async/clock.js';
import { runInSlices } from '../async/cooperative.js';
import { withDeadline, within } from '../async/deadline.js';
import { messageOf } from '../errors/quote.js';
import { errorFromStatus } from '../errors.js';
import { RpcFailure, Status } from '../transport/status.js';
import type { BrokerConnection, ConnectionSettings } from './broker-connection.js';
import type { MetadataAnswer, Testimony } from './metadata-answer.js';
import { readMetadata } from './metadata-reader.js';
import type { Pool } from './pool.js';
import type { Sightings } from './sightings.js';
import { BROKER_SEARCH_BACKOFF, BROKER_SEARCH_MS, OWN_TIMEOUT_GRACE_MS } from './timing.js';
import { ATTEMPT_SHARE, type UnaryCaller } from './unary-caller.js';
import { BRIEF_REQUEST, definitionOf } from './unary-calls.js';

/** FetchMetadata with its answer left in bytes, to be read in slices. */
const FETCH_METADATA = { ...definitionOf('fetchMetadata'), decode: (bytes: Buffer): Buffer => bytes };

/** Brokers asked at the same time for what one of them does not know. */
const WITNESSES = 8;

/** Asks brokers for metadata, and passes the brokers of each answer to the pool. */
export class MetadataCalls {
  readonly #settings: ConnectionSettings;
  readonly #caller: UnaryCaller;
  readonly #pool: Pool;
  readonly #sightings: Sightings;
  #first: BrokerConnection | null = null;
  readonly #search = new Backoff(BROKER_SEARCH_BACKOFF);

  constructor(settings: ConnectionSettings, caller: UnaryCaller, pool: Pool, sightings: Sightings) {
    this.#settings = settings;
    this.#sightings = sightings;
    this.#caller = caller;
    this.#pool = pool;
  }

  /** Lets the next fetch begin with a broker that is known to answer. */
  beginWith(connection: BrokerConnection): void {
    this.#first = connection;
  }

  /** Asks any broker that answers; no streams means all of them. Rejects with a LiftbridgeError. */
  async fetch(streams: readonly string[], groups: readonly string[]): Promise<MetadataAnswer> {
    let asked: BrokerConnection | undefined;
    const bytes = await this.#caller.run({
      operation: 'FetchMetadata',
      method: FETCH_METADATA,
      request: { streams: [...streams], groups: [...groups] },
      bounds: {},
      target: async (_attempt, tried) => {
        asked = this.#first ?? this.#pool.choose(tried);
        this.#first = null;
        return asked;
      },
    });
    const from = { witness: asked!, since: asked!.connectedSince };
    const answer = await this.#learn(bytes, from);
    if (answer.strangers.size === 0 || this.#search.remaining > 0) return answer;
    const search = this.#lookFor([...answer.strangers.keys()]);
    // Nothing waits for a replica: the next answer finds it.
    if (![...answer.strangers.values()].includes(true)) return answer;
    await search;
    return await this.#read(bytes, from);
  }

  /**
   * Asks several brokers at once, those first that are connected; `heard` gets each answer as it comes. Resolves when all
   * have answered or failed, or the signal is aborted; never rejects.
   */
  async poll(
    streams: readonly string[],
    groups: readonly string[],
    heard: (answer: MetadataAnswer) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const asked = this.#pool.witnesses(WITNESSES);
    await Promise.all(
      asked.map(async (connection) => {
        try {
          const answer = await this.#askOnce(connection, streams, groups, signal);
          if (!signal.aborted) heard(answer);
        } catch (error) {
          if (signal.aborted) return;
          this.#settings.options.logger.debug({ broker: connection.id, err: error }, 'broker does not answer');
        }
      }),
    );
  }

  /** Asks one broker, without retries, and measures the round trip. Rejects with RpcFailure. */
  async ask(connection: BrokerConnection, streams: readonly string[]): Promise<void> {
    const started = monotonicNow();
    await this.#askOnce(connection, streams, [], undefined, () => connection.recordLatency(monotonicNow() - started));
  }

  async #askOnce(
    connection: BrokerConnection,
    streams: readonly string[],
    groups: readonly string[],
    signal: AbortSignal | undefined,
    onAnswer: () => void = () => undefined,
  ): Promise<MetadataAnswer> {
    const { options, closed } = this.#settings;
    // A server that waits for a dead broker uses up all the time that it gets, and answers the next call at once.
    const timeout = Math.min(options.requestTimeout, options.connectTimeout) * ATTEMPT_SHARE;
    const request = { streams: [...streams], groups: [...groups] };
    const late = (): Error => new RpcFailure(Status.DEADLINE_EXCEEDED, 'no answer in time', { sent: true });
    // The error of the call itself says more, so the call times out first.
    const bounds = { waiting: { signal }, timeout: timeout + OWN_TIMEOUT_GRACE_MS, closed, late };
    const bytes = await withDeadline(bounds, (deadline) =>
      connection.call(FETCH_METADATA, request, { timeout, signal: deadline.signal }),
    );
    onAnswer();
    return await this.#learn(bytes, { witness: connection, since: connection.connectedSince });
  }

  /** Brokers keep lists that lack one which did not answer them in time: asks the others, and the seeds, for these ids. */
  async #lookFor(ids: readonly string[]): Promise<void> {
    const stop = new AbortController();
    const heard = (): void => {
      if (ids.every((id) => this.#pool.known(id) !== undefined)) stop.abort();
    };
    await within(BROKER_SEARCH_MS, this.poll(BRIEF_REQUEST, [], heard, stop.signal));
    stop.abort();
    if (ids.every((id) => this.#pool.known(id) !== undefined)) this.#search.reset();
    else this.#search.recordFailure();
  }

  /** Decodes an answer. Rejects with a LiftbridgeError when it is not valid metadata. */
  async #read(bytes: Buffer, from: Testimony): Promise<MetadataAnswer> {
    try {
      return await runInSlices(readMetadata(bytes, from, (id) => this.#pool.known(id)));
    } catch (cause) {
      const details = `the response cannot be decoded: ${messageOf(cause)}`;
      throw errorFromStatus('FetchMetadata', { code: Status.INTERNAL, details }, { cause });
    }
  }

  async #learn(bytes: Buffer, from: Testimony & { readonly witness: BrokerConnection }): Promise<MetadataAnswer> {
    const answer = await this.#read(bytes, from);
    this.#sightings.note(answer);
    if (answer.answeredBy !== null) await this.#pool.identify(from.witness, answer.answeredBy);
    await this.#pool.update(answer.brokers);
    return answer;
  }
}
