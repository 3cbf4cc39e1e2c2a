import { monotonicNow } from '../async/clock.js';
import { orAbort, orDeadline } from '../async/deadline.js';
import { messageOf } from '../errors/quote.js';
import { authorityOf } from './authority.js';
import { connectionFailure } from './connection-failure.js';
import { DataSession } from './duplex.js';
import type { PeerOptions } from './peer-options.js';
import { RpcFailure, Status } from './status.js';
import { type RpcOptions, type StreamEnd, transportEnd } from './stream-end.js';
import type { UnaryMethodDefinition } from './unary-method.js';

export { type UnaryMethodDefinition, unaryMethod } from './unary-method.js';

/** Where a channel leads, and its limits. */
export interface UnaryChannelOptions extends PeerOptions {
  /** Milliseconds for a call that sets no limit of its own: no call waits for ever. Default 10_000. */
  readonly callTimeout?: number | undefined;
  /** Largest response to accept, in bytes; the metadata of a large cluster is large. Default 64 MiB. */
  readonly maxReceiveBytes?: number | undefined;
}

/** Counts the connections of all channels, so that a number names one of them. */
let connectionsMade = 0;

/** Options of one call. `timeout` includes the time to connect; `signal` rejects the call with its reason. */
export interface UnaryCallOptions extends RpcOptions {
  /** Number of the one connection that may carry the call, see `UnaryChannel.connection`; it fails unsent when that is gone. */
  readonly connection?: number | undefined;
}

/** The limits of one call under way. */
interface Limits extends UnaryCallOptions {
  readonly deadline: number;
  /** Milliseconds between the start of the call and its deadline. */
  readonly allowed: number;
}

/**
 * The unary calls to one broker. They run on a session of their own, so that neither a slow subscriber nor a large answer
 * holds up the other plane. It connects on demand.
 */
export class UnaryChannel {
  readonly #options: UnaryChannelOptions;
  readonly #address: string;
  /** The current session, and earlier ones that still serve calls. */
  readonly #sessions = new Set<DataSession>();
  #current: DataSession | undefined;
  #newest = 0;
  #closed = false;

  constructor(options: UnaryChannelOptions) {
    this.#options = options;
    this.#address = authorityOf(options.host, options.port);
  }

  /** Number of the newest connection, failed attempts included; 0 before the first one. */
  get newest(): number {
    return this.#newest;
  }

  /** Number of the open connection, which the next call goes over; null while the next call has to connect. */
  get connection(): number | null {
    return this.connected ? this.#newest : null;
  }

  /** Whether a connection is open. */
  get connected(): boolean {
    return this.#current?.state === 'open';
  }

  /**
   * Makes one call. Rejects with RpcFailure, or with the reason of an aborted signal. `sent` of the failure is false when
   * the server cannot have acted on the call.
   */
  async call<Request, Response>(
    method: UnaryMethodDefinition<Request, Response>,
    request: Request,
    options: UnaryCallOptions = {},
  ): Promise<Response> {
    options.signal?.throwIfAborted();
    const response = await this.#exchange(method.path, method.encode(request), this.#limits(options));
    try {
      return method.decode(response);
    } catch (cause) {
      const details = `the response cannot be decoded: ${messageOf(cause)}`;
      throw new RpcFailure(Status.INTERNAL, details, { sent: true, cause });
    }
  }

  /** Checks that the peer of the open session is there, and closes that session when it is not. */
  async checkLiveness(): Promise<void> {
    if (this.connected) await this.#current?.checkLiveness();
  }

  /** Ends running calls and closes every connection; those calls and later ones fail as closed. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#sessions].map((session) => session.close()));
  }

  #limits(options: UnaryCallOptions): Limits {
    const { callTimeout = 10_000 } = this.#options;
    const { timeout = callTimeout } = options;
    return { ...options, deadline: monotonicNow() + timeout, allowed: Math.max(0, Math.round(timeout)) };
  }

  /** Sends a request and waits for the bytes of its response. */
  async #exchange(path: string, request: Uint8Array, limits: Limits): Promise<Buffer> {
    for (let attempt = 1; ; attempt++) {
      if (limits.connection !== undefined && limits.connection !== this.connection)
        throw connectionFailure(this.#address, 'lost', { sent: false });
      const session = this.#usable();
      if (session.state !== 'open') await this.#connected(session, limits);
      const { response, end } = await exchange(session, path, request, limits);
      if (response !== undefined) return response;
      limits.signal?.throwIfAborted();
      // The connection was lost before the call was on it: the next one takes the call, without the caller noticing.
      if (attempt === 1 && !end.processed && end.connection === 'lost') continue;
      if (end.transport && end.code === Status.DEADLINE_EXCEEDED) void session.checkLiveness();
      throw failureOf(end, limits);
    }
  }

  async #connected(session: DataSession, { deadline, signal }: Limits): Promise<void> {
    const late = () =>
      new RpcFailure(Status.DEADLINE_EXCEEDED, `no connection to ${this.#address} in time`, { sent: false });
    await orAbort(orDeadline(session.connect(), deadline, late), signal);
  }

  /** The session for the next call, which may have to connect first. */
  #usable(): DataSession {
    if (this.#closed) throw connectionFailure(this.#address, 'closed', { sent: false });
    const current = this.#current;
    if (current !== undefined && current.state !== 'draining' && current.state !== 'closed') return current;
    const { maxReceiveBytes = 64 * 1024 * 1024 } = this.#options;
    const session = new DataSession({ ...this.#options, maxReceiveBytes, keepaliveWithoutStreams: false });
    this.#newest = ++connectionsMade;
    this.#sessions.add(session);
    session.onClose(() => {
      for (const known of this.#sessions) if (known.state === 'closed') this.#sessions.delete(known);
    });
    this.#current = session;
    return session;
  }
}

/** One unary call as gRPC has it: one message each way, then the status. `response` is there when the call succeeded. */
async function exchange(
  session: DataSession,
  path: string,
  request: Uint8Array,
  limits: Limits,
): Promise<{ readonly response?: Buffer; readonly end: StreamEnd }> {
  const { deadline, signal, metadata } = limits;
  const stream = session.open(path, { deadline, signal, metadata });
  let response: Buffer | undefined;
  let count = 0;
  stream.onFrames((source, start, end) => {
    // Only the first is held: a peer could send others for as long as the call may take.
    if (count++ === 0) response = source.subarray(start, end);
  });
  stream.send(request);
  stream.halfClose();
  const end = await stream.ended;
  if (end.code !== Status.OK) return { end };
  if (response !== undefined && count === 1) return { response, end };
  const message = `the server answered ${count} messages to a unary call instead of one`;
  return { end: transportEnd(Status.UNIMPLEMENTED, message, true) };
}

function failureOf({ code, message, processed, connection, cause, transport }: StreamEnd, limits: Limits): RpcFailure {
  const late = transport && code === Status.DEADLINE_EXCEEDED;
  const details = late ? `no answer within ${limits.allowed} ms` : message;
  return new RpcFailure(code, details, { sent: processed, connection, cause });
}
