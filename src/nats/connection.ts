/** What the publisher needs of a message. */
export interface NatsMessage {
  /** The payload. */
  readonly data: Uint8Array;
}

/** What the publisher needs of a subscription. */
export interface NatsSubscription {
  /** Ends it. */
  unsubscribe(): void;
}

/** What a NATS connection tells about itself; the packages differ in what they add. */
export interface NatsStatus {
  /** What kind of status it is. */
  readonly type: unknown;
}

/**
 * The part of a NATS connection that is used here. `NatsConnection` of `nats` 2.x and of `@nats-io/transport-node` 3.x
 * (and of any other transport of `@nats-io/nats-core` 3.x) fits as it is.
 */
export interface NatsConnection {
  /** What the server said of itself, while connected. */
  readonly info?:
    | {
        /** Bytes of the largest message that the server takes. */
        readonly max_payload: number;
      }
    | undefined;
  /** Sends a message; does not wait. */
  publish(subject: string, data: Uint8Array): void;
  /** Asks for the messages on a subject. */
  subscribe(
    subject: string,
    options: { callback: (error: Error | null, message: NatsMessage) => void },
  ): NatsSubscription;
  /** Resolves once the server has taken everything published so far. */
  flush(): Promise<void>;
  /** Resolves when the connection is closed for good, with the error that closed it if there was one. */
  // biome-ignore lint/suspicious/noConfusingVoidType: the type of the NATS packages
  closed(): Promise<void | Error>;
  /** Whether it is closed for good. */
  isClosed(): boolean;
  /** Whether it takes nothing more and will be closed. */
  isDraining?(): boolean;
  /** What happens to it, as it happens. */
  status(): AsyncIterable<NatsStatus>;
}

/** Something that a connection reports and that decides the fate of publishes. */
export type ConnectionEvent =
  /** The TCP connection broke; the package may connect again. Whether what was under way is lost is unknown. */
  | { readonly kind: 'disconnect' }
  /** It is back, with the subscriptions it had. */
  | { readonly kind: 'reconnect' }
  /** It is closed for good. */
  | { readonly kind: 'closed'; readonly cause: unknown }
  /** The server does not let this user publish to the subject. */
  | { readonly kind: 'publish-denied'; readonly subject: string; readonly cause: unknown };

/** Reads a status of either package; null for one that decides nothing. */
function connectionEvent(status: NatsStatus): ConnectionEvent | null {
  if (status.type === 'disconnect' || status.type === 'reconnect') return { kind: status.type };
  if (status.type !== 'error') return null;
  // `permissionContext` in 2.x; in 3.x the error itself has the same fields.
  const { permissionContext, error } = status as { permissionContext?: unknown; error?: unknown };
  const denied = (permissionContext ?? error) as { operation?: unknown; subject?: unknown } | undefined;
  if (denied?.operation !== 'publish' || typeof denied.subject !== 'string') return null;
  return { kind: 'publish-denied', subject: denied.subject, cause: error };
}

/** The same for a status that may be anything; tells `failed` of one that cannot be read. */
function readEvent(status: NatsStatus, failed: (error: unknown) => void): ConnectionEvent | null {
  try {
    return connectionEvent(status);
  } catch (error) {
    failed(error);
    return null;
  }
}

/**
 * Calls `report` for what the connection reports, until the answer is called, and `failed` for a status that cannot be read, or if it
 * ends with an error.
 * Afterwards the connection, which may live on for long, keeps nothing of its caller alive.
 */
export function watchConnection(
  connection: NatsConnection,
  report: (event: ConnectionEvent) => void,
  failed: (error: unknown) => void,
): () => void {
  const statuses = connection.status() as AsyncIterable<NatsStatus> & { stop?(): void };
  let listener: typeof report | null = report;
  const watch = async (): Promise<void> => {
    for await (const status of statuses) {
      if (listener === null) return;
      const event = readEvent(status, failed);
      if (event !== null) listener(event);
    }
  };
  watch().catch(failed);
  const closed = (cause: unknown): void => listener?.({ kind: 'closed', cause: cause ?? undefined });
  connection.closed().then(closed, closed);
  return () => {
    listener = null;
    // Both packages have it: `return` of their async generator would only be heard at the next status.
    statuses.stop?.();
  };
}
