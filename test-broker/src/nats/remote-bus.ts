import { deferred } from 'liftbridge-client/protocol';
import type { Msg, NatsConnection, NatsError, Subscription } from 'nats';
import { atMost } from '../pause.js';
import { queueMicrotask } from '../timers.js';
import { type Bus, BusError, type BusMessage, type BusSubscription } from './bus.js';
import { DelayedMessages, type OutgoingMessage } from './delayed-messages.js';
import { type ConnectionSettings, isDisconnect, openConnection, refusal } from './remote-connection.js';
import { busMessage } from './remote-message.js';
import { isSubscribable, publishTarget } from './subjects.js';

/** How a {@link RemoteBus} is set up. */
export interface RemoteBusOptions extends ConnectionSettings {
  /** Bytes that may wait while the connection is lost. Default 8,388,608. */
  readonly reconnectBuffer?: number;
  /**
   * Receives the error of a handler that throws, of a message that NATS would lose over its unreadable subject, and of a
   * later refusal by the server. By default the error surfaces as an uncaught exception.
   */
  readonly onError?: (error: unknown) => void;
}

/** A subscription that the bus repeats on each new connection. */
interface DurableSubscription {
  readonly subject: string;
  readonly queue: string;
  readonly handler: (message: BusMessage) => void;
  /** On the current connection; null while there is none. */
  current: Subscription | null;
}

/** How long `close` waits until the server has received everything. */
const CLOSE_FLUSH_MS = 2_000;
/**
 * The bus on a NATS server outside the process. While the connection is lost, published messages wait; after a reconnect
 * the bus subscribes again. When the server refuses the credentials or stays unreachable, `publish` throws BusError
 * `nats: connection closed` until `reconnect` has opened another connection.
 */
export class RemoteBus implements Bus {
  #connection: NatsConnection;
  readonly #options: RemoteBusOptions;
  readonly #subscriptions = new Set<DurableSubscription>();
  #closing = false;
  readonly #onError: (error: unknown) => void;
  readonly #delayed: DelayedMessages;
  #connected = true;
  #onConnected: (() => void)[] = [];
  #maxPayload: number;

  /** Connects to `nats://host:port`; rejects with the error of the `nats` package when no server responds. */
  static async connect(url: string, options: RemoteBusOptions = {}): Promise<RemoteBus> {
    return new RemoteBus(await openConnection(url, options), options);
  }

  private constructor(connection: NatsConnection, options: RemoteBusOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#onError = options.onError ?? throwLater;
    this.#delayed = new DelayedMessages(options.reconnectBuffer ?? 8_388_608);
    this.#maxPayload = connection.info?.max_payload ?? 1_048_576;
    this.#follow(connection);
  }

  /**
   * Replaces the connection, which may be closed for good, and subscribes again. Rejects with the error of the `nats`
   * package, and changes nothing, when it cannot connect.
   */
  async reconnect(url: string, access: NonNullable<RemoteBusOptions['access']> = {}): Promise<void> {
    const connection = await openConnection(url, { ...this.#options, access });
    if (this.#closing) {
      await connection.close();
      throw new BusError('nats: connection closed');
    }
    const before = this.#connection;
    this.#connection = connection;
    this.#follow(connection);
    for (const subscription of this.#subscriptions) this.#subscribeNow(subscription);
    this.#resume();
    if (!before.isClosed()) await before.close();
    await connection.flush();
  }

  /** Both watches end with the connection. Errors that they throw come from onError and surface as uncaught. */
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
    else this.#delayed.add({ ...target, data });
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
    const subscription: DurableSubscription = { subject, queue, handler, current: null };
    this.#subscriptions.add(subscription);
    this.#subscribeNow(subscription);
    return {
      unsubscribe: () => {
        this.#subscriptions.delete(subscription);
        const { current } = subscription;
        if (current !== null && !current.isClosed()) current.unsubscribe();
      },
    };
  }

  /** Subscribes on the current connection. A closed one takes no subscriptions; `reconnect` subscribes again. */
  #subscribeNow(subscription: DurableSubscription): void {
    const { subject, queue, handler } = subscription;
    const callback = (error: NatsError | null, message: Msg) => this.#receive(error, message, handler);
    subscription.current = this.#connection.isClosed()
      ? null
      : this.#connection.subscribe(subject, queue === '' ? { callback } : { callback, queue });
  }

  /** While the connection is lost, waits until it is back; rejects with BusError when it is closed for good. */
  async flush(): Promise<void> {
    for (;;) {
      this.#checkOpen();
      if (!this.#connected) await this.#connectedAgain();
      this.#checkOpen();
      // The package never settles a flush when the connection ends during it.
      const outcome = await Promise.race([this.#connection.flush().then(() => 'done', asError), this.#closed()]);
      if (outcome === 'done') return;
      if (outcome instanceof Error && !isDisconnect(outcome)) throw outcome;
    }
  }

  /** Flushes pending messages for at most 2 seconds, then closes; may be called twice. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#connection.isClosed()) return;
    if (this.#connected) await this.#lastFlush();
    await this.#connection.close();
  }

  async #lastFlush(): Promise<void> {
    // A connection that ends before the flush needs no more of it: `close` wants the end anyway.
    await atMost(CLOSE_FLUSH_MS, Promise.race([this.#connection.flush().catch(asError), this.#closed()]));
  }

  #connectedAgain(): Promise<void> {
    const { promise, resolve } = deferred();
    this.#onConnected.push(resolve);
    return promise;
  }

  async #closed(): Promise<'closed'> {
    await this.#connection.closed();
    return 'closed';
  }

  #checkOpen(): void {
    if (this.#connection.isClosed()) throw new BusError('nats: connection closed');
  }

  #send({ subject, reply, data }: OutgoingMessage): void {
    this.#connection.publish(subject, data, reply === '' ? {} : { reply });
  }

  /** Follows the state of the connection; the package never ends this loop after a close. */
  async #watch(connection: NatsConnection): Promise<void> {
    for await (const { type, data } of connection.status()) {
      if (connection !== this.#connection) continue;
      if (type === 'disconnect') this.#connected = false;
      else if (type === 'reconnect') this.#resume();
      else if (type === 'error') this.#onError(new Error(`the NATS server reported an error: ${String(data)}`));
    }
  }

  async #watchEnd(connection: NatsConnection): Promise<void> {
    const reason = await connection.closed();
    if (connection !== this.#connection) return;
    const lost = this.#delayed.takeAll().length;
    this.#wake();
    if (lost > 0) this.#onError(new Error(`${lost} messages lost: the connection to NATS could not be restored`));
    const refused = refusal(reason);
    if (refused !== null) this.#onError(refused);
  }

  #resume(): void {
    this.#maxPayload = this.#connection.info?.max_payload ?? this.#maxPayload;
    for (const message of this.#delayed.takeAll()) this.#sendDelayed(message);
    this.#connected = true;
    this.#wake();
  }

  #sendDelayed(message: OutgoingMessage): void {
    try {
      this.#send(message);
    } catch (error) {
      // The new server may accept smaller messages than the lost one; the rest must still be sent.
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

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
