/** The part of a NATS message that the publisher uses. */
export interface NatsMessage {
  /** The payload. */
  readonly data: Uint8Array;
}

/** The part of a NATS subscription that the publisher uses. */
export interface NatsSubscription {
  /** Ends it. */
  unsubscribe(): void;
}

/** A status of a NATS connection; the packages add different fields. */
export interface NatsStatus {
  /** The kind of the status. */
  readonly type: unknown;
}

/**
 * The part of a NATS connection that is used here. `NatsConnection` of `nats` 2.x and of `@nats-io/transport-node` 3.x
 * (and of any other transport of `@nats-io/nats-core` 3.x) fits as it is.
 */
export interface NatsConnection {
  /** Information about the server, while connected. */
  readonly info?:
    | {
        /** Bytes of the largest message that the server accepts. */
        readonly max_payload: number;
      }
    | undefined;
  /** Sends a message; does not wait. */
  publish(subject: string, data: Uint8Array): void;
  /** Subscribes to the messages on a subject. */
  subscribe(
    subject: string,
    options: { callback: (error: Error | null, message: NatsMessage) => void },
  ): NatsSubscription;
  /** Resolves once the server has received all earlier publishes. */
  flush(): Promise<void>;
  /** Resolves when the connection is closed permanently, with the error that closed it, if any. */
  // biome-ignore lint/suspicious/noConfusingVoidType: the type of the NATS packages
  closed(): Promise<void | Error>;
  /** Whether it is closed permanently. */
  isClosed(): boolean;
  /** Whether it accepts no further messages and will close. */
  isDraining?(): boolean;
  /** The changes of its status. */
  status(): AsyncIterable<NatsStatus>;
}

/** An event of a connection that affects publishes. */
export type ConnectionEvent =
  /** The TCP connection broke; the package may reconnect. Messages in flight may be lost. */
  | { readonly kind: 'disconnect' }
  /** The connection is back, with its subscriptions. */
  | { readonly kind: 'reconnect' }
  /** The connection is closed permanently. */
  | { readonly kind: 'closed'; readonly cause: unknown }
  /** The server does not let this user publish to the subject. */
  | { readonly kind: 'publish-denied'; readonly subject: string; readonly cause: unknown };

/** Reads a status of either package; null for a status that affects no publish. */
function connectionEvent(status: NatsStatus): ConnectionEvent | null {
  if (status.type === 'disconnect' || status.type === 'reconnect') return { kind: status.type };
  if (status.type !== 'error') return null;
  // `permissionContext` in 2.x; in 3.x the error itself has the same fields.
  const { permissionContext, error } = status as { permissionContext?: unknown; error?: unknown };
  const denied = (permissionContext ?? error) as { operation?: unknown; subject?: unknown } | undefined;
  if (denied?.operation !== 'publish' || typeof denied.subject !== 'string') return null;
  return { kind: 'publish-denied', subject: denied.subject, cause: error };
}

/** The same for any value; calls `failed` for a status that cannot be read. */
function readEvent(status: NatsStatus, failed: (error: unknown) => void): ConnectionEvent | null {
  try {
    return connectionEvent(status);
  } catch (error) {
    failed(error);
    return null;
  }
}

/**
 * Calls `report` for each event of the connection until the returned function is called. Calls `failed` for a status that
 * cannot be read, or when the statuses end with an error. After that the connection, which may live longer, holds no
 * reference to its caller.
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
    // Both packages have `stop`. `return` of their async generator would only take effect at the next status.
    statuses.stop?.();
  };
}
