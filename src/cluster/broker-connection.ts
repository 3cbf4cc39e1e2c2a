import { Backoff } from '../async/backoff.js';
import { monotonicNow } from '../async/clock.js';
import type { BoundedWaiting } from '../async/deadline.js';
import { excerpt } from '../errors/quote.js';
import { ConnectionError } from '../errors.js';
import type { ResolvedClientOptions } from '../options.js';
import type { DataSession } from '../transport/duplex.js';
import type { PeerOptions } from '../transport/peer-options.js';
import { RpcFailure, Status } from '../transport/status.js';
import { type UnaryCallOptions, UnaryChannel, type UnaryMethodDefinition } from '../transport/unary.js';
import type { Address } from './addresses.js';
import { formatAddress } from './addresses.js';
import { DataSessions } from './data-sessions.js';
import type { EventHub } from './events.js';
import { toConnectionError } from './failures.js';
import type { Witness } from './metadata-answer.js';
import type { Candidate } from './selection.js';
import { CONNECT_BACKOFF, FAIR_TIMEOUT_MS, MIN_RECONNECT_TIMEOUT_MS, SUSPECT_MS } from './timing.js';

/** Settings that every connection of a client shares. */
export interface ConnectionSettings {
  readonly options: ResolvedClientOptions;
  readonly hub: EventHub;
  /** Aborted when the client closes. */
  readonly closed: AbortSignal;
}

/** Share of a new measurement in the smoothed latency. */
const NEWEST_SHARE = 0.3;
/** The largest answer to a unary call; metadata of a large cluster is larger than gRPC's default allows. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

/** The connections to one broker: a channel for unary calls and a session for streams, each made on demand. */
export class BrokerConnection implements Candidate, Witness {
  readonly address: string;
  readonly host: string;
  readonly port: number;
  /** Broker id, the address until it is known. */
  id: string;
  /** Partitions that it leads and holds, as metadata has it. */
  load = 0;
  inFlight = 0;
  up: boolean | null = null;
  latency: number | null = null;
  /** Since when it has been connected without a break, as of `monotonicNow()`; null while it is not. */
  connectedSince: number | null = null;
  /** Whether a connection to it has ever failed. */
  hasFailed = false;
  /** Called when it stops answering. */
  onDown: (connection: BrokerConnection) => void = () => undefined;
  #suspectUntil = 0;
  readonly #settings: ConnectionSettings;
  readonly #sessions: DataSessions;
  #channel: UnaryChannel | null = null;
  /** Number of the channel's newest connection as of the last answer; 0 before the first one. */
  #channelConnection = 0;
  readonly #backoff = new Backoff(CONNECT_BACKOFF);
  /** Milliseconds that the slowest connection took that was made; null before the first one. */
  #slowestConnect: number | null = null;
  #openingSince = 0;
  #retired = false;

  constructor(address: Address, settings: ConnectionSettings) {
    this.host = address.host;
    this.port = address.port;
    this.address = formatAddress(address);
    this.id = this.address;
    this.#settings = settings;
    this.#sessions = new DataSessions(this.#peer({}), settings.closed, {
      opening: () => {
        if (this.#retired) throw this.#gone();
        this.#openingSince = monotonicNow();
      },
      opened: () => {
        this.#slowestConnect = Math.max(this.#slowestConnect ?? 0, monotonicNow() - this.#openingSince);
        this.#noteAnswer();
      },
      failed: (failure) => this.#noteFailedOpen(failure),
      ended: (failure, closed) => this.#noteEnd(failure, closed),
    });
  }

  /** Milliseconds until the next attempt makes sense; grows with each failure in a row. */
  get backoff(): number {
    return this.#backoff.remaining;
  }

  get suspect(): boolean {
    return this.#suspectUntil > monotonicNow();
  }

  /** Records that it left a call unanswered: other brokers come first for a while. */
  markSuspect(): void {
    this.#suspectUntil = monotonicNow() + SUSPECT_MS;
  }

  /** Number of the open connection that the next call goes over; null while the next call has to connect. */
  get callConnection(): number | null {
    return this.#channel?.connection ?? null;
  }

  /** True when it has no running call and no open session. */
  get idle(): boolean {
    return this.inFlight === 0 && this.#sessions.empty;
  }

  /** One unary call. Rejects with RpcFailure, or with the reason of `signal`. */
  async call<Request, Response>(
    method: UnaryMethodDefinition<Request, Response>,
    request: Request,
    bounds: UnaryCallOptions & BoundedWaiting,
  ): Promise<Response> {
    this.inFlight++;
    try {
      const channel = this.#unary();
      const response = await channel.call(method, request, bounds);
      this.#noteConnections(channel);
      this.#noteAnswer();
      return response;
    } catch (error) {
      this.#judge(error, bounds.timeout);
      if (isOverdue(error)) void this.#sessions.checkLiveness();
      throw error;
    } finally {
      this.inFlight--;
    }
  }

  /** Adds a measured round trip, in milliseconds, to the smoothed latency. */
  recordLatency(roundTrip: number): void {
    this.latency = this.latency === null ? roundTrip : this.latency + NEWEST_SHARE * (roundTrip - this.latency);
  }

  /**
   * The open data session, connecting where needed, after the backoff of an earlier failure. Rejects with RpcFailure, with
   * ConnectionError when the broker has left the cluster, or with the reason of a signal.
   */
  session(signal: AbortSignal): Promise<DataSession> {
    return this.#retired ? Promise.reject(this.#gone()) : this.#sessions.open(signal);
  }

  /** Checks each open connection with a ping, and closes those that the broker does not answer on. */
  async checkLiveness(): Promise<void> {
    await Promise.all([this.#sessions.checkLiveness(), this.#channel?.checkLiveness()]);
  }

  /** Closes what is open; it is opened again when needed. */
  async disconnect(): Promise<void> {
    const channel = this.#channel;
    this.#channel = null;
    this.connectedSince = null;
    await Promise.all([channel?.close(), this.#sessions.close()]);
  }

  /** Closes everything for good. */
  close(): Promise<void> {
    this.#retired = true;
    return this.disconnect();
  }

  #noteEnd(failure: RpcFailure, closed: boolean): void {
    this.connectedSince = null;
    if (!closed) return;
    this.#judge(failure);
    // The other connection to the broker may have broken for the same reason.
    if (failure.connection === 'lost') void this.#channel?.checkLiveness();
  }

  /** A broker that refuses new connections for good, but answers calls on the one that it has, is not down. */
  #noteFailedOpen(failure: RpcFailure): void {
    const answersCalls = this.up === true && this.#channel?.connected === true;
    if (!answersCalls || failure.connection?.startsWith('tls-') !== true) this.#judge(failure);
  }

  #unary(): UnaryChannel {
    if (this.#channel === null) this.#channelConnection = 0;
    this.#channel ??= new UnaryChannel(this.#peer({ maxReceiveBytes: MAX_ANSWER_BYTES }));
    return this.#channel;
  }

  /** The options that both planes connect with. */
  #peer<Extra extends object>(extra: Extra): PeerOptions & Extra {
    const { tls, metadata: callMetadata, logger } = this.#settings.options;
    const connectTimeout = (): number => this.#connectTimeout;
    return {
      host: this.host,
      port: this.port,
      tls,
      callMetadata,
      logger,
      // Read for each connection.
      get connectTimeout() {
        return connectTimeout();
      },
      ...extra,
    };
  }

  /**
   * An attempt on a dead network must not delay the next one for long once the network is back: where earlier attempts
   * were quick, it gets a few seconds.
   */
  get #connectTimeout(): number {
    const { connectTimeout } = this.#settings.options;
    if (this.#slowestConnect === null) return connectTimeout;
    return Math.min(connectTimeout, Math.max(MIN_RECONNECT_TIMEOUT_MS, 4 * this.#slowestConnect));
  }

  /** A channel that had to connect again may have reached a broker that was started again. */
  #noteConnections(channel: UnaryChannel): void {
    if (channel !== this.#channel || channel.newest === this.#channelConnection) return;
    if (this.#channelConnection > 0) this.connectedSince = null;
    this.#channelConnection = channel.newest;
  }

  #noteAnswer(): void {
    this.connectedSince ??= monotonicNow();
    this.#suspectUntil = 0;
    this.#backoff.reset();
    this.#sessions.hurry();
    if (this.up === true || this.#retired) return;
    this.up = true;
    this.#settings.options.logger.info({ broker: this.id, address: this.address }, 'broker connected');
    this.#settings.hub.emit('connect', { broker: { id: this.id, address: this.address } });
  }

  /** A status from the server shows that the broker runs; a failed connection shows the opposite. */
  #judge(error: unknown, timeout = Number.POSITIVE_INFINITY): void {
    if (!(error instanceof RpcFailure) || error.connection === 'closed') return;
    // The status may come from a proxy that has lost its own connection to the broker.
    if (error.codeName === 'UNAVAILABLE') this.connectedSince = null;
    const unreached = error.codeName === 'DEADLINE_EXCEEDED' && !error.sent && timeout >= FAIR_TIMEOUT_MS;
    if (error.connection !== undefined || unreached) this.#failed(error);
    else if (error.codeName !== 'UNAVAILABLE' && error.codeName !== 'DEADLINE_EXCEEDED') this.#noteAnswer();
  }

  #gone(): ConnectionError {
    return new ConnectionError(
      `Connect failed: broker ${excerpt(this.id)} at ${excerpt(this.address)} has left the cluster.`,
      {
        operation: 'Connect',
        broker: this.id,
        reason: 'no-broker',
        outcome: 'not-sent',
      },
    );
  }

  #failed(failure: RpcFailure): void {
    this.#backoff.recordFailure();
    this.hasFailed = true;
    this.connectedSince = null;
    this.latency = null;
    if (this.#retired) return;
    const wasUp = this.up;
    this.up = false;
    if (wasUp === true) this.#reportLoss(failure);
    if (wasUp !== false) this.onDown(this);
  }

  #reportLoss(failure: RpcFailure): void {
    const error = toConnectionError(failure, { operation: 'Connect', broker: this.id }) as ConnectionError;
    this.#settings.options.logger.warn({ broker: this.id, address: this.address, err: error }, 'broker disconnected');
    this.#settings.hub.emit('disconnect', { broker: { id: this.id, address: this.address }, error });
  }
}

/** Whether a call ended as calls do when the broker or the network is gone. */
function isOverdue(error: unknown): boolean {
  return (
    error instanceof RpcFailure &&
    (error.connection === 'lost' || (error.code === Status.DEADLINE_EXCEEDED && error.sent))
  );
}
