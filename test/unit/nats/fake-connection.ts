import { type AckFields, decodeMessage, encodeAck, type Message } from 'liftbridge-client/envelope';
import type { NatsConnection, NatsMessage, NatsStatus } from 'liftbridge-client/nats';

type Callback = (error: Error | null, message: NatsMessage) => void;

/** A connection whose server is the test. */
export class FakeConnection implements NatsConnection {
  info: { max_payload: number } | undefined = { max_payload: 1024 * 1024 };
  readonly published: { readonly subject: string; readonly message: Message }[] = [];
  readonly subscriptions = new Map<string, Callback>();
  flushes = 0;
  /** Set to make the next calls of publish throw. */
  refusal: Error | null = null;
  onFlush: () => Promise<void> = async () => undefined;
  #closed = false;
  #onClosed!: (error: Error | undefined) => void;
  readonly #whenClosed = new Promise<Error | undefined>((resolve) => {
    this.#onClosed = resolve;
  });
  readonly #statuses: NatsStatus[] = [];
  #wake: (() => void) | null = null;

  publish(subject: string, data: Uint8Array): void {
    if (this.refusal !== null) throw this.refusal;
    this.published.push({ subject, message: decodeMessage(data) });
  }

  subscribe(subject: string, options: { callback: Callback }): { unsubscribe(): void } {
    this.subscriptions.set(subject, options.callback);
    return { unsubscribe: () => this.subscriptions.delete(subject) };
  }

  flush(): Promise<void> {
    this.flushes++;
    return this.onFlush();
  }

  // biome-ignore lint/suspicious/noConfusingVoidType: the type of the NATS packages
  closed(): Promise<void | Error> {
    return this.#whenClosed;
  }

  isClosed(): boolean {
    return this.#closed;
  }

  async *status(): AsyncGenerator<NatsStatus> {
    while (!this.#closed) {
      const status = this.#statuses.shift();
      if (status !== undefined) yield status;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  report(status: NatsStatus & Record<string, unknown>): void {
    this.#statuses.push(status);
    this.#wake?.();
  }

  end(error?: Error): void {
    this.#closed = true;
    this.#onClosed(error);
    this.#wake?.();
  }

  /** Sends to the inbox of the one publisher. */
  deliver(data: Uint8Array): void {
    for (const callback of this.subscriptions.values()) callback(null, { data });
  }

  /** Acknowledges the publish of that index, as a stream would. */
  acknowledge(index: number, fields: AckFields = {}): void {
    const { correlationId, ackInbox, ackPolicy } = this.published[index]!.message;
    if (!this.subscriptions.has(ackInbox)) throw new Error(`no subscription on ${ackInbox}`);
    this.deliver(encodeAck({ stream: 's', offset: BigInt(index), correlationId, ackInbox, ackPolicy, ...fields }));
  }
}
