import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { monotonicNow } from '../async/clock.js';
import { queueMicrotask } from '../async/timers.js';
import { CallMetadataError } from '../errors/call-metadata.js';
import { excerpt, messageOf } from '../errors/quote.js';
import { authorityOf } from './authority.js';
import { callMetadata, requestHeaders } from './call-headers.js';
import { connectionFailure } from './connection-failure.js';

import { connectOptions, tlsOptions } from './credentials.js';
import { type Dialled, dial, letGo, socketClosed } from './dial.js';
import { DuplexStream, type StreamOwner } from './duplex-stream.js';
import type { MetadataEntries } from './metadata.js';
import { keepForStream } from './native-session.js';
import type { PeerOptions } from './peer-options.js';
import { PeerWatch } from './peer-watch.js';
import { type ConnectionReason, type RpcFailure, resetName, Status } from './status.js';
import { deadlineOf, lostEnd, type OpenOptions, type Received, type StreamEnd, transportEnd } from './stream-end.js';

export type { TlsOptions } from './credentials.js';
export { DuplexStream } from './duplex-stream.js';
export type { MetadataEntries } from './metadata.js';
export type { OpenOptions, StreamEnd } from './stream-end.js';

/** Where a session leads and what it takes. */
export interface DataSessionOptions extends PeerOptions {
  /** Largest message to accept, in bytes. Default 4 MiB. */
  readonly maxReceiveBytes?: number | undefined;
}

/** `draining`: no new streams, running ones may finish. `closed` is final: a new session takes its place. */
export type SessionState = 'idle' | 'connecting' | 'open' | 'draining' | 'closed';

const LIVENESS_PATH = '/grpc.health.v1.Health/Check';

/** One HTTP/2 session to one broker, for the streams of the data plane. */
export class DataSession {
  readonly #options: DataSessionOptions;
  readonly #address: string;
  readonly #streams = new Set<DuplexStream>();
  readonly #listeners = new Set<(failure: RpcFailure) => void>();
  readonly #closing = new AbortController();
  #state: SessionState = 'idle';
  #connecting: Promise<void> | undefined;
  #session: ClientHttp2Session | undefined;
  #socket: Socket | undefined;
  #watcher: PeerWatch | undefined;
  #failure: RpcFailure | undefined;
  #goaway: { readonly code: number; readonly lastStreamId: number } | undefined;

  constructor(options: DataSessionOptions) {
    this.#options = options;
    this.#address = authorityOf(options.host, options.port);
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Why the session takes no more streams; undefined while it does. After `close` its `connection` is 'closed'. */
  get failure(): RpcFailure | undefined {
    return this.#failure;
  }

  /** Connects, once for all callers. Rejects with RpcFailure, whose `connection` says why. */
  connect(): Promise<void> {
    this.#connecting ??= this.#connect();
    return this.#connecting;
  }

  async #connect(): Promise<void> {
    if (this.#state === 'closed') throw this.#failure;
    this.#state = 'connecting';
    const { host, port, tls, connectTimeout = 10_000 } = this.#options;
    const identity = typeof tls === 'object' ? tls : undefined;
    try {
      const target = { host, port, timeout: connectTimeout, tls: this.#tls(), identity };
      this.#watch(await dial(target, this.#closing.signal));
    } catch (error) {
      const failure = error as RpcFailure;
      this.#shut('closed', failure);
      throw failure;
    }
  }

  #tls(): ConnectionOptions | undefined {
    const tls = tlsOptions(this.#options.tls);
    if (tls === undefined) return undefined;
    try {
      return connectOptions(tls);
    } catch (cause) {
      throw connectionFailure(this.#address, 'tls-config', { sent: false, cause });
    }
  }

  #watch({ session, socket }: Dialled): void {
    this.#session = session;
    this.#socket = socket;
    this.#state = 'open';
    let cause: unknown;
    const noteCause = (error: unknown) => {
      cause ??= error;
    };
    socket.on('error', noteCause);
    session.on('error', noteCause);
    session.on('goaway', (code, lastStreamId, text) => this.#goneAway(code, lastStreamId, text));
    const onClose = () => this.#shut('closed', this.#lost('lost', cause));
    // Before the session's own listeners: its streams must know why they end.
    socket.prependOnceListener('close', onClose);
    session.once('close', onClose);
    if (socket.destroyed || session.destroyed) {
      onClose();
      throw this.#failure;
    }
    this.#watcher = this.#startWatch(session, socket);
  }

  #lost(reason: ConnectionReason, cause?: unknown, note?: string): RpcFailure {
    return connectionFailure(this.#address, reason, { sent: true, cause, ...(note === undefined ? {} : { note }) });
  }

  #goneAway(code: number, lastStreamId: number, data: Buffer | undefined): void {
    const text = data === undefined ? '' : excerpt(Buffer.from(data).toString());
    this.#goaway = { code, lastStreamId };
    const note = `GOAWAY ${resetName(code)}${text === '' ? '' : `: ${text}`}`;
    this.#options.logger?.debug({ broker: this.#address, code, lastStreamId }, note);
    this.#shut('draining', this.#lost('lost', undefined, note));
  }

  /** Enters a state without new streams, and calls the listeners once. */
  #shut(state: 'draining' | 'closed', failure: RpcFailure): void {
    if (this.#state === 'closed' || this.#state === state) return;
    this.#state = state;
    this.#failure ??= failure;
    if (state === 'closed') this.#watcher?.stop();
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener(this.#failure);
    if (state === 'draining') return;
    for (const stream of [...this.#streams]) stream.lose(this.#failure);
    this.#session?.destroy();
    if (this.#socket !== undefined) letGo(this.#socket);
  }

  /** Calls `listener` once when the session takes no more streams (draining or closed). Returns the function that removes it. */
  onClose(listener: (failure: RpcFailure) => void): () => void {
    this.#listeners.add(listener);
    const { failure } = this;
    if (failure !== undefined) queueMicrotask(() => this.#listeners.delete(listener) && listener(failure));
    return () => this.#listeners.delete(listener);
  }

  /** Bytes received so far. When they have not changed since a request was sent, the peer has been silent since. */
  get received(): number {
    return this.#socket?.bytesRead ?? 0;
  }

  /**
   * True when the session should not be written to before `checkLiveness` has resolved: the peer was silent for ten
   * seconds, or a check is under way. A new stream waits for that by itself.
   */
  get stale(): boolean {
    return this.#watcher?.stale ?? false;
  }

  /**
   * Asks the peer whether it is there. Resolves true as soon as anything is received; when nothing is within 750 ms, closes
   * the session as lost and resolves false. Call it when an answer is overdue. Concurrent calls share one check.
   */
  async checkLiveness(): Promise<boolean> {
    return (await this.#watcher?.check()) ?? false;
  }

  /**
   * Opens a stream. Never throws: on a session that is not open the stream ends at once, as not processed. On a stale session
   * the stream is held until the peer has been heard; when it is not, the stream ends as not processed.
   */
  open(path: string, options: OpenOptions = {}): DuplexStream {
    const stream = this.#prepare(options);
    if (!this.#streams.has(stream)) return stream;
    if (this.stale) void this.checkLiveness().then(() => this.#start(stream, path, options.metadata));
    else this.#start(stream, path, options.metadata);
    return stream;
  }

  /** A stream with its limits; the session has it unless it has ended already. */
  #prepare(options: OpenOptions): DuplexStream {
    const { maxReceiveBytes = 4 * 1024 * 1024 } = this.#options;
    const stream = new DuplexStream(this.#owner, options.maxMessageBytes ?? maxReceiveBytes);
    if (this.#state !== 'open') {
      const failure = this.#failure ?? this.#lost('lost', undefined, 'not connected');
      stream.fail(lostEnd(failure, false));
      return stream;
    }
    this.#streams.add(stream);
    stream.limit(deadlineOf(options), options.signal);
    return stream;
  }

  readonly #owner: StreamOwner = {
    connectionEnd: (id, received) => this.#connectionEnd(id, received),
    release: (stream) => this.#streams.delete(stream),
  };

  #connectionEnd(id: number | undefined, received: Received): StreamEnd | undefined {
    const broken = this.#state === 'closed' || this.#session?.destroyed || this.#socket?.destroyed;
    const beyond = id !== undefined && this.#goaway !== undefined && id > this.#goaway.lastStreamId;
    if (!broken && !beyond) return undefined;
    return lostEnd(this.#failure ?? this.#lost('lost'), id !== undefined && !beyond, received);
  }

  #start(stream: DuplexStream, path: string, own: MetadataEntries | undefined): void {
    const refuse = (cause: unknown) => {
      const text = cause instanceof CallMetadataError ? cause.message : `the call cannot be sent: ${messageOf(cause)}`;
      const code = cause instanceof CallMetadataError ? Status.UNAUTHENTICATED : Status.INTERNAL;
      stream.fail(transportEnd(code, text, false, {}, { cause }));
    };
    const request = (metadata: MetadataEntries) => {
      try {
        this.#request(stream, path, own === undefined ? metadata : { ...metadata, ...own });
      } catch (error) {
        refuse(error);
      }
    };
    try {
      const metadata = callMetadata(this.#options.callMetadata);
      if (metadata instanceof Promise) metadata.then(request, refuse);
      else request(metadata);
    } catch (error) {
      refuse(error);
    }
  }

  #request(stream: DuplexStream, path: string, metadata: MetadataEntries): void {
    if (!this.#streams.has(stream)) return;
    if (this.#state !== 'open' || this.#session === undefined) {
      stream.fail(lostEnd(this.#failure ?? this.#lost('lost'), false));
      return;
    }
    const timeout = stream.deadline === undefined ? undefined : stream.deadline - monotonicNow();
    const scheme = tlsOptions(this.#options.tls) === undefined ? 'http' : 'https';
    const headers = requestHeaders({ scheme, authority: this.#address, path, timeout }, metadata);
    const request = this.#session.request(headers, { endStream: false });
    keepForStream(this.#session, request);
    stream.attach(request);
  }

  /**
   * Asks with a small call, and with a PING only when that stays unanswered: gRPC servers in Go count a PING more often than
   * every five minutes as abuse and end the connection after the third ("too_many_pings"), while a call resets their count.
   */
  #startWatch(session: ClientHttp2Session, socket: Socket): PeerWatch {
    const { keepaliveTime = 30_000, keepaliveTimeout = 15_000, keepaliveWithoutStreams = true, logger } = this.#options;
    return new PeerWatch({
      keepaliveTime,
      keepaliveTimeout,
      received: () => socket.bytesRead,
      inUse: () => keepaliveWithoutStreams || this.#streams.size > 0,
      call: (timeout) => this.#checkHealth(timeout),
      ping: () =>
        // Settled by one callback, or at once.
        new Promise((resolve) => {
          if (session.destroyed || !session.ping(() => resolve())) resolve();
        }),
      dead: (silence) => {
        logger?.warn({ broker: this.#address }, 'broker went silent, connection given up');
        this.#shut('closed', this.#lost('lost', undefined, `nothing received for ${silence} ms`));
        socket.destroy();
      },
    });
  }

  async #checkHealth(timeout: number): Promise<void> {
    const check = this.#prepare({ timeout });
    // Any answer will do, also UNIMPLEMENTED.
    check.onFrames(() => {});
    check.send(new Uint8Array(0));
    check.halfClose();
    if (this.#streams.has(check)) this.#start(check, LIVENESS_PATH, undefined);
    await check.ended;
  }

  /** Ends every stream as UNAVAILABLE and closes the connection. Idempotent; resolves when the socket is closed. */
  async close(): Promise<void> {
    this.#shut('closed', this.#lost('closed'));
    this.#closing.abort();
    await this.#connecting?.catch(() => {
      // The caller of connect() has been told.
    });
    if (this.#socket !== undefined) await socketClosed(this.#socket);
  }
}
