/** A message on the bus, as a NATS subscriber receives it. */
export interface BusMessage {
  readonly subject: string;
  /** Reply subject, empty when there is none. */
  readonly reply: string;
  /** Possibly a view of a larger chunk: copy it to keep it. */
  readonly data: Buffer;
  /** The raw NATS header block (`NATS/1.0\r\n...`), for a message that was published with headers. */
  readonly headers?: Buffer;
}

/** An active subscription; `unsubscribe` takes effect at once and may be called twice. */
export interface BusSubscription {
  unsubscribe(): void;
}

/** A refusal by the bus: its message is the text of the NATS client library of the real server. */
export class BusError extends Error {
  override readonly name = 'BusError';
  constructor(
    message:
      | 'nats: invalid subject'
      | 'nats: invalid queue name'
      | 'nats: maximum payload exceeded'
      | 'nats: outbound buffer limit exceeded'
      | 'nats: connection closed',
  ) {
    super(message);
  }
}

/**
 * The message bus between brokers and NATS clients: every published message passes through it. Messages of one publisher
 * arrive in their order. The in-memory bus delivers before `publish` returns; a bus on a real NATS server does not. A
 * message that a handler publishes is delivered after the handled message has reached all its subscribers.
 */
export interface Bus {
  /** Largest payload in bytes, headers included. */
  readonly maxPayload: number;
  /**
   * Throws BusError for an empty subject, a payload above the maximum, a closed bus, and a full buffer of a lost
   * connection. The bytes are not copied. A blank in the subject splits it: `a b` is subject `a` with reply `b`, as the
   * Go client writes it.
   */
  publish(subject: string, data: Uint8Array, reply?: string): void;
  /** `queue`: each message goes to one member of the queue group, chosen at random. Throws BusError for a bad subject or queue. */
  subscribe(subject: string, handler: (message: BusMessage) => void, options?: { queue?: string }): BusSubscription;
  /** Resolves when all earlier messages have reached the NATS server, and all subscriptions are active there. */
  flush(): Promise<void>;
  close(): Promise<void>;
}
