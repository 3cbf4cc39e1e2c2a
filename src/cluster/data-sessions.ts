import { Backoff } from '../async/backoff.js';
import { orAbort } from '../async/deadline.js';
import { onAbort } from '../async/shared-abort-listener.js';
import { sleep } from '../async/sleep.js';
import { DataSession, type DataSessionOptions } from '../transport/duplex.js';
import { RpcFailure } from '../transport/status.js';
import { CONNECT_BACKOFF } from './timing.js';

/** Receives the events of the sessions to a broker. */
export interface DataSessionEvents {
  /** An attempt begins; it fails with what this throws. */
  opening(): void;
  opened(): void;
  /** A connection could not be made. */
  failed(failure: RpcFailure): void;
  /** A session takes no more streams; `closed` when its connection is gone as well. */
  ended(failure: RpcFailure, closed: boolean): void;
}

/** The sessions for streams to one broker: the one that takes new streams, and earlier ones that still serve theirs. */
export class DataSessions {
  readonly #options: DataSessionOptions;
  /** Aborted when the client closes. */
  readonly #closed: AbortSignal;
  readonly #events: DataSessionEvents;
  readonly #sessions = new Set<DataSession>();
  readonly #backoff = new Backoff(CONNECT_BACKOFF);
  #current: DataSession | null = null;
  #opening: Promise<DataSession> | null = null;
  /** Why the broker refused this client for good, until a connection to it was made. */
  #refusal: RpcFailure | null = null;
  #endPause: () => void = () => undefined;

  constructor(options: DataSessionOptions, closed: AbortSignal, events: DataSessionEvents) {
    this.#options = options;
    this.#closed = closed;
    this.#events = events;
  }

  /** True while there is no session at all. */
  get empty(): boolean {
    return this.#sessions.size === 0;
  }

  /**
   * The open session, connecting where needed, after the backoff of an earlier failure. Rejects with RpcFailure: at once when
   * the broker refused this client for good a moment ago.
   */
  open(signal: AbortSignal): Promise<DataSession> {
    if (this.#current?.state === 'open') return Promise.resolve(this.#current);
    if (this.#refusal !== null && this.#backoff.remaining > 0) return Promise.reject(this.#refusal);
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return orAbort(this.#opening, signal);
  }

  /** Lets the next attempt begin at once: the broker answers. A refusal for good still has its backoff. */
  hurry(): void {
    if (this.#refusal !== null) return;
    this.#backoff.reset();
    this.#endPause();
  }

  /** Checks that the peer of the open session is there, and closes that session when it is not. */
  async checkLiveness(): Promise<void> {
    if (this.#current?.state === 'open') await this.#current.checkLiveness();
  }

  /** Closes every session. */
  async close(): Promise<void> {
    const sessions = [...this.#sessions];
    this.#sessions.clear();
    this.#current = null;
    await Promise.all(sessions.map((session) => session.close()));
  }

  async #connect(): Promise<DataSession> {
    await this.#pause();
    this.#closed.throwIfAborted();
    this.#events.opening();
    const session = new DataSession(this.#options);
    this.#sessions.add(session);
    try {
      await session.connect();
    } catch (error) {
      this.#sessions.delete(session);
      if (error instanceof RpcFailure) this.#failed(error);
      throw error;
    }
    this.#refusal = null;
    this.#backoff.reset();
    this.#current = session;
    session.onClose((failure) => this.#ended(session, failure));
    this.#events.opened();
    return session;
  }

  /** Waits for the backoff of an earlier failure; `hurry` and the end of the client end the wait. */
  async #pause(): Promise<void> {
    const { remaining } = this.#backoff;
    if (remaining === 0) return;
    const over = new AbortController();
    this.#endPause = () => over.abort();
    const undo = onAbort(this.#closed, this.#endPause);
    await sleep(remaining, over.signal).catch(() => undefined);
    undo();
  }

  #failed(failure: RpcFailure): void {
    this.#backoff.recordFailure();
    this.#refusal = failure.connection?.startsWith('tls-') === true ? failure : null;
    this.#events.failed(failure);
  }

  #ended(session: DataSession, failure: RpcFailure): void {
    if (this.#current === session) this.#current = null;
    // A draining session still serves its streams: it is kept until the connection closes.
    for (const known of this.#sessions) if (known.state === 'closed') this.#sessions.delete(known);
    this.#events.ended(failure, session.state === 'closed');
  }
}
