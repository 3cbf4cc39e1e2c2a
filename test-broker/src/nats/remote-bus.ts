import type { ConnectionOptions, Msg, MsgHdrs, NatsConnection, NatsError, Subscription } from 'nats';
import { clearTimeout, queueMicrotask, setTimeout } from '../timers.js';
import { type Bus, BusError, type BusMessage, type BusSubscription } from './bus.js';
import { natsAddress } from './nats-address.js';
import { isSubscribable, type PublishTarget, publishTarget } from './subjects.js';

/** How a {@link RemoteBus} connects. */
export interface RemoteBusOptions {
  /** Connection name that the NATS server shows, see {@link connectionName}. Default `LIFT`. */
  readonly name?: string;
  /** How often a lost connection is tried again before it counts as closed. Default 60. */
  readonly maxReconnectAttempts?: number;
  /** Milliseconds between two attempts. Default 2,000. */
  readonly reconnectWait?: number;
  /** Bytes that may wait while the connection is lost. Default 8,388,608. */
  readonly reconnectBuffer?: number;
  /** Milliseconds to wait for a server to answer when connecting. Default 20,000. */
  readonly connectTimeout?: number;
  /** Credentials and certificates, for what the address does not hold. */
  readonly access?: Pick<ConnectionOptions, 'user' | 'pass' | 'token' | 'tls'>;
  /**
   * Told of a handler that threw, of a message that NATS would lose over its unreadable subject, and of what the
   * server refuses later on. By default such an error is thrown on its own, as an uncaught exception.
   */
  readonly onError?: (error: unknown) => void;
}

interface Delayed extends PublishTarget {
  readonly data: Uint8Array;
}

/** A subscription that is made again on each new connection. */
interface Standing {
  readonly subject: string;
  readonly queue: string;
  readonly handler: (message: BusMessage) => void;
  /** On the connection of now; null while there is none. */
  current: Subscription | null;
}

/** How long `close` waits for the server to have everything. */
const CLOSE_FLUSH_MS = 2_000;
/** What the `nats` package ends a connection with that the server does not let in any more. */
const REFUSALS = new Set<unknown>([
  'AUTHORIZATION_VIOLATION',
  'AUTHENTICATION_EXPIRED',
  'AUTHENTICATION_TIMEOUT',
  'ACCOUNT_EXPIRED',
]);

/** The name of a broker's NATS connection, as the real server gives it. */
export function connectionName(namespace: string, brokerId: string, kind = 'streams'): string {
  return `LIFT.${namespace}.${brokerId}.${kind}`;
}

/**
 * The bus on a NATS server outside the process. While the connection is lost, published messages wait; after a reconnect
 * the bus subscribes again. When the server refuses the credentials or stays unreachable, `publish` throws BusError
 * `nats: connection closed` until `reconnect` has opened another connection.
 */
export class RemoteBus implements Bus {
  #connection: NatsConnection;
  readonly #options: RemoteBusOptions;
  readonly #standing = new Set<Standing>();
  #closing = false;
  readonly #onError: (error: unknown) => void;
  readonly #bufferLimit: number;
  /** What was published while the connection was lost: the `nats` package drops it at each attempt to reconnect. */
  #delayed: Delayed[] = [];
  #delayedBytes = 0;
  #connected = true;
  #onConnected: (() => void)[] = [];
  #maxPayload: number;

  /** Connects to `nats://host:port`; rejects with the error of the `nats` package when no server answers. */
  static async connect(url: string, options: RemoteBusOptions = {}): Promise<RemoteBus> {
    return new RemoteBus(await open(url, options), options);
  }

  private constructor(connection: NatsConnection, options: RemoteBusOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#onError = options.onError ?? throwLater;
    this.#bufferLimit = options.reconnectBuffer ?? 8_388_608;
    this.#maxPayload = connection.info?.max_payload ?? 1_048_576;
    this.#follow(connection);
  }

  /**
   * Takes another connection instead of the one it has, which may be closed for good, and makes the subscriptions there.
   * Rejects with the error of the `nats` package, and changes nothing, when there is none to be had.
   */
  async reconnect(url: string, access: NonNullable<RemoteBusOptions['access']> = {}): Promise<void> {
    const connection = await open(url, { ...this.#options, access });
    if (this.#closing) {
      await connection.close();
      throw new BusError('nats: connection closed');
    }
    const before = this.#connection;
    this.#connection = connection;
    this.#follow(connection);
    for (const standing of this.#standing) this.#make(standing);
    this.#resume();
    if (!before.isClosed()) await before.close();
    await connection.flush();
  }

  /** Neither watch ends other than with the connection; what they throw comes from onError and is for all to see. */
  #follow(connection: NatsConnection): void {
    void this.#watch(connection);
    void this.#watchEnd(connection);
  }

  get maxPayload(): number {
    return this.#maxPayload;
  }

  /** False while the connection is lost, and after its end. */
  get connected(): boolean {
    return this.#connected && !this.#connection.isClosed();
  }

  publish(subject: string, data: Uint8Array, reply = ''): void {
    if (subject === '') throw new BusError('nats: invalid subject');
    this.#checkOpen();
    if (data.length > this.#maxPayload) throw new BusError('nats: maximum payload exceeded');
    const target = publishTarget(subject, reply);
    if (!target)
      this.#onError(new Error(`message lost: NATS cannot read the subject ${JSON.stringify(subject.slice(0, 100))}`));
    else if (this.#connected) this.#send({ ...target, data });
    else this.#delay({ ...target, data });
  }

  subscribe(
    subject: string,
    handler: (message: BusMessage) => void,
    options: { queue?: string } = {},
  ): BusSubscription {
    if (this.#closing) throw new BusError('nats: connection closed');
    if (!isSubscribable(subject)) throw new BusError('nats: invalid subject');
    const queue = options.queue ?? '';
    if (/[ \t\r\n]/.test(queue)) throw new BusError('nats: invalid queue name');
    const standing: Standing = { subject, queue, handler, current: null };
    this.#standing.add(standing);
    this.#make(standing);
    return {
      unsubscribe: () => {
        this.#standing.delete(standing);
        if (standing.current !== null && !standing.current.isClosed()) standing.current.unsubscribe();
      },
    };
  }

  /** Makes a subscription on the connection of now. One that is closed has none until another takes its place. */
  #make(standing: Standing): void {
    const { subject, queue, handler } = standing;
    const callback = (error: NatsError | null, message: Msg) => this.#receive(error, message, handler);
    standing.current = this.#connection.isClosed()
      ? null
      : this.#connection.subscribe(subject, queue === '' ? { callback } : { callback, queue });
  }

  /** While the connection is lost it waits for it to be back, or to be given up: rejects with BusError then. */
  async flush(): Promise<void> {
    for (;;) {
      this.#checkOpen();
      if (!this.#connected) await new Promise<void>((resolve) => this.#onConnected.push(resolve));
      this.#checkOpen();
      // A flush that the connection's end overtakes is never settled by the package.
      const outcome = await Promise.race([this.#connection.flush().then(() => 'done', asError), this.#closed()]);
      if (outcome === 'done') return;
      if (outcome instanceof Error && codeOf(outcome) !== 'DISCONNECT') throw outcome;
    }
  }

  /** Sends what is on its way if that takes no longer than 2 seconds, then closes; may be called twice. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#connection.isClosed()) return;
    if (this.#connected) await this.#lastFlush();
    await this.#connection.close();
  }

  async #lastFlush(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_FLUSH_MS);
    });
    // The connection going away first is what close is for.
    await Promise.race([this.#connection.flush().catch(asError), this.#closed(), late]);
    clearTimeout(timer);
  }

  async #closed(): Promise<'closed'> {
    await this.#connection.closed();
    return 'closed';
  }

  #checkOpen(): void {
    if (this.#connection.isClosed()) throw new BusError('nats: connection closed');
  }

  #send({ subject, reply, data }: Delayed): void {
    this.#connection.publish(subject, data, reply === '' ? {} : { reply });
  }

  #delay(message: Delayed): void {
    if (this.#delayedBytes + message.data.length > this.#bufferLimit) {
      throw new BusError('nats: outbound buffer limit exceeded');
    }
    this.#delayedBytes += message.data.length;
    this.#delayed.push(message);
  }

  /** Follows what becomes of the connection; the package leaves this hanging once it is closed. */
  async #watch(connection: NatsConnection): Promise<void> {
    for await (const { type, data } of connection.status()) {
      if (connection !== this.#connection) continue;
      if (type === 'disconnect') this.#connected = false;
      else if (type === 'reconnect') this.#resume();
      else if (type === 'error') this.#onError(new Error(`the NATS server refused: ${String(data)}`));
    }
  }

  async #watchEnd(connection: NatsConnection): Promise<void> {
    const reason = await connection.closed();
    if (connection !== this.#connection) return;
    const lost = this.#delayed.length;
    this.#delayed = [];
    this.#delayedBytes = 0;
    this.#wake();
    if (lost > 0) this.#onError(new Error(`${lost} messages lost: NATS could not be reached again`));
    if (reason instanceof Error && REFUSALS.has(codeOf(reason))) this.#onError(refused(reason));
  }

  #resume(): void {
    this.#maxPayload = this.#connection.info?.max_payload ?? this.#maxPayload;
    const delayed = this.#delayed;
    this.#delayed = [];
    this.#delayedBytes = 0;
    for (const message of delayed) this.#sendDelayed(message);
    this.#connected = true;
    this.#wake();
  }

  #sendDelayed(message: Delayed): void {
    try {
      this.#send(message);
    } catch (error) {
      // The server that was found may take less than the one that was lost; the rest must still go.
      this.#onError(error);
    }
  }

  #wake(): void {
    for (const resolve of this.#onConnected.splice(0)) resolve();
  }

  #receive(error: NatsError | null, message: Msg, handler: (message: BusMessage) => void): void {
    if (error) {
      this.#onError(error);
      return;
    }
    try {
      handler(busMessage(message));
    } catch (failure) {
      this.#onError(failure);
    }
  }
}

function busMessage(message: Msg): BusMessage {
  const { subject, data, headers } = message;
  const received = {
    subject,
    reply: message.reply ?? '',
    data: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  };
  return headers === undefined ? received : { ...received, headers: headerBlock(headers) };
}

/** The headers as they look on the wire; the package only gives them parsed. */
function headerBlock(headers: MsgHdrs): Buffer {
  const status = headers.code > 0 ? ` ${`${headers.code} ${headers.description}`.trim()}` : '';
  const lines = headers.keys().flatMap((key) => headers.values(key).map((value) => `${key}: ${value}\r\n`));
  return Buffer.from(`NATS/1.0${status}\r\n${lines.join('')}\r\n`);
}

async function open(url: string, options: RemoteBusOptions): Promise<NatsConnection> {
  const address = natsAddress(url);
  // The package is loaded only where there is a NATS server to talk to.
  const { connect } = await import('nats');
  return connect({
    ...address,
    ...options.access,
    name: options.name ?? 'LIFT',
    maxReconnectAttempts: options.maxReconnectAttempts ?? 60,
    reconnectTimeWait: options.reconnectWait ?? 2_000,
    timeout: options.connectTimeout ?? 20_000,
  });
}

function refused(reason: Error): Error {
  const text = `the NATS server refuses the credentials (${reason.message.replaceAll("'", '')}), and is not asked again`;
  return new Error(`${text}: attachNats() of the broker takes others`, { cause: reason });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : undefined;
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
