import {
  Client,
  type ClientOptions,
  type ClientUnaryCall,
  connectivityState,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { monotonicNow } from '../async/clock.js';
import { checkedMetadata } from '../options/call-metadata.js';
import { callMetadata, USER_AGENT } from './call-headers.js';
import { connectionFailure } from './connection-failure.js';
import type { ConnectionReason } from './connection-reason.js';
import { channelCredentials, connectOptions, tlsOptions } from './credentials.js';
import { authorityOf, dial } from './dial.js';
import type { MetadataEntries } from './metadata.js';
import type { PeerOptions } from './peer-options.js';
import { RpcFailure, Status } from './status.js';
import { encodeRequest, type UnaryMethodDefinition } from './unary-method.js';
import { orAbort, orDeadline } from './waiting.js';

export type { UnaryMethodDefinition } from './unary-method.js';

/** Where a channel leads and what it takes. */
export interface UnaryChannelOptions extends PeerOptions {
  /** Milliseconds for a call that brings no limit of its own: no call waits for ever. Default 10_000. */
  readonly callTimeout?: number | undefined;
  /** Largest answer to accept, in bytes; the metadata of a large cluster is large. Default 64 MiB. */
  readonly maxReceiveBytes?: number | undefined;
}

/** Options of one call. */
export interface UnaryCallOptions {
  /** Milliseconds for the call, connecting included. */
  readonly timeout?: number | undefined;
  /** Point in time, as of `monotonicNow()`; the earlier of this and `timeout` counts. */
  readonly deadline?: number | undefined;
  /** Rejects the call with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Metadata of this call, besides that of the channel. */
  readonly metadata?: MetadataEntries | undefined;
}

/** The unary calls to one broker, over grpc-js. */
export class UnaryChannel {
  readonly #options: UnaryChannelOptions;
  readonly #address: string;
  readonly #closing = new AbortController();
  readonly #running = new Set<ClientUnaryCall>();
  #connections = 0;
  #client: Client | undefined;
  #connecting: Promise<Client> | undefined;

  constructor(options: UnaryChannelOptions) {
    this.#options = options;
    this.#address = authorityOf(options.host, options.port);
  }

  /** Counts the connections that were made. */
  get connections(): number {
    return this.#connections;
  }

  /**
   * Makes one call. Rejects with RpcFailure, or with the reason of an aborted signal. `sent` of the failure is false when
   * the call never left.
   */
  async call<Request, Response>(
    method: UnaryMethodDefinition<Request, Response>,
    request: Request,
    options: UnaryCallOptions = {},
  ): Promise<Response> {
    options.signal?.throwIfAborted();
    const deadline = this.#deadline(options);
    const payload = encodeRequest(method, request);
    const late = () =>
      new RpcFailure(Status.DEADLINE_EXCEEDED, `no connection to ${this.#address} in time`, { sent: false });
    const prepared = Promise.all([this.#ready(), this.#metadata(options)]);
    const [client, metadata] = await orAbort(orDeadline(prepared, deadline, late), options.signal);
    return await this.#send(client, method, payload, metadata, deadline, options.signal);
  }

  #deadline({ timeout, deadline }: UnaryCallOptions): number {
    const { callTimeout = 10_000 } = this.#options;
    if (deadline !== undefined && timeout === undefined) return deadline;
    return Math.min(deadline ?? Number.POSITIVE_INFINITY, monotonicNow() + (timeout ?? callTimeout));
  }

  async #metadata({ metadata: own }: UnaryCallOptions): Promise<Metadata> {
    const metadata = new Metadata();
    try {
      const entries = { ...(await callMetadata(this.#options.callMetadata)), ...own };
      for (const [name, value] of checkedMetadata(entries)) metadata.set(name, value);
    } catch (cause) {
      const details = `call metadata cannot be sent: ${String(cause)}`;
      throw new RpcFailure(Status.UNAUTHENTICATED, details, { sent: false, cause });
    }
    return metadata;
  }

  #send<Request, Response>(
    client: Client,
    { path, responseDeserialize }: UnaryMethodDefinition<Request, Response>,
    payload: Buffer,
    metadata: Metadata,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const limit = Math.max(0, Math.round(deadline - monotonicNow()));
    return new Promise((resolve, reject) => {
      const settle = (error: ServiceError | null, response?: Response) => {
        signal?.removeEventListener('abort', onAbort);
        this.#running.delete(call);
        if (error === null) resolve(response as Response);
        else reject(this.#failure(client, error, limit));
      };
      const call = client.makeUnaryRequest(
        path,
        asItIs,
        responseDeserialize,
        payload,
        metadata,
        { deadline: wallTime(deadline) },
        settle,
      );
      this.#running.add(call);
      const onAbort = () => {
        reject(signal?.reason);
        call.cancel();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted) onAbort();
    });
  }

  #failure(client: Client, error: ServiceError, limit: number): RpcFailure {
    if (this.#closing.signal.aborted) return connectionFailure(this.#address, 'closed', { sent: true, cause: error });
    // A peer that went silent shows itself in no other way: the next call starts on a new connection.
    if (error.code === Status.DEADLINE_EXCEEDED) {
      this.#options.logger?.debug({ broker: this.#address }, 'call ran into its deadline, channel replaced');
      this.#retire(client);
    }
    const lost = error.code === Status.UNAVAILABLE && !isReady(client);
    // The one word of grpc-js for REFUSED_STREAM, the server's promise that it did nothing.
    const refused = error.code === Status.UNAVAILABLE && error.details.startsWith('Stream refused by server');
    // grpc-js reports on its own parts there.
    const late = error.details.startsWith('Deadline exceeded after');
    return new RpcFailure(error.code, late ? `no answer within ${limit} ms` : error.details, {
      sent: !refused,
      cause: error,
      ...(lost ? { connection: 'lost' } : {}),
    });
  }

  /** Answers a client that is connected. One attempt serves all who wait. */
  #ready(): Promise<Client> {
    if (this.#client !== undefined && isReady(this.#client)) return Promise.resolve(this.#client);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /**
   * Dials by itself before grpc-js does. grpc-js 1.14 waits for ever for a peer that takes the connection and stays silent
   * (grpc/grpc-node#2785), keeps the socket when its channel is closed meanwhile, and hides in a text why TLS failed. To be
   * dropped when it bounds its handshake and tells the cause.
   */
  async #connect(): Promise<Client> {
    const { host, port, connectTimeout = 10_000 } = this.#options;
    const until = monotonicNow() + connectTimeout;
    if (this.#closing.signal.aborted) throw this.#unavailable('closed');
    const { session, socket } = await dial(
      { host, port, tls: this.#tls(), timeout: connectTimeout },
      this.#closing.signal,
    );
    session.destroy();
    socket.destroySoon();
    this.#client ??= this.#newClient();
    const client = this.#client;
    try {
      await this.#untilReady(client, until);
      this.#connections++;
      return client;
    } catch (error) {
      this.#retire(client);
      throw error;
    }
  }

  async #untilReady(client: Client, until: number): Promise<void> {
    const channel = client.getChannel();
    for (;;) {
      if (this.#closing.signal.aborted) throw this.#unavailable('closed');
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) return;
      if (state === connectivityState.TRANSIENT_FAILURE) throw this.#unavailable('lost');
      await new Promise<void>((resolve, reject) => {
        const changed = (error?: Error) => (error ? reject(this.#unavailable('timeout')) : resolve());
        channel.watchConnectivityState(state, wallTime(until), changed);
      });
    }
  }

  #unavailable(reason: ConnectionReason): RpcFailure {
    return connectionFailure(this.#address, reason, { sent: false });
  }

  #tls() {
    const tls = tlsOptions(this.#options.tls);
    if (tls === undefined) return undefined;
    try {
      return connectOptions(tls);
    } catch (cause) {
      throw connectionFailure(this.#address, 'tls-config', { sent: false, cause });
    }
  }

  #newClient(): Client {
    const { keepaliveTime = 30_000, keepaliveTimeout = 15_000, maxReceiveBytes = 64 * 1024 * 1024 } = this.#options;
    const tls = tlsOptions(this.#options.tls);
    const settings: ClientOptions = {
      'grpc.primary_user_agent': USER_AGENT,
      'grpc.keepalive_time_ms': keepaliveTime,
      'grpc.keepalive_timeout_ms': keepaliveTimeout,
      'grpc.max_receive_message_length': maxReceiveBytes,
      'grpc.max_send_message_length': -1,
      // Retries, routes and proxies are decided above, and the same for both planes.
      'grpc.enable_retries': 0,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      // A channel that replaces another must not inherit its connection.
      'grpc.use_local_subchannel_pool': 1,
      ...(tls?.servername === undefined ? {} : { 'grpc.ssl_target_name_override': tls.servername }),
    };
    return new Client(this.#address, channelCredentials(tls), settings);
  }

  #retire(client: Client): void {
    client.close();
    if (this.#client === client) this.#client = undefined;
  }

  /** Lets the next call start on a new connection; running calls go on. */
  reset(): void {
    if (this.#client !== undefined) this.#retire(this.#client);
  }

  /** Ends running calls and closes the channel; those calls and later ones fail as closed. */
  close(): void {
    this.#closing.abort();
    for (const call of this.#running) call.cancel();
    this.reset();
  }
}

function isReady(client: Client): boolean {
  return client.getChannel().getConnectivityState(false) === connectivityState.READY;
}

/** A point in time of the monotonic clock as grpc-js takes it: by the wall clock, which it reads at once and only once. */
function wallTime(deadline: number): number {
  return Date.now() + deadline - monotonicNow();
}

function asItIs(bytes: Buffer): Buffer {
  return bytes;
}
