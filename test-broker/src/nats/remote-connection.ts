import type { ConnectionOptions, NatsConnection } from 'nats';
import { natsAddress } from './nats-address.js';

/** How a broker connects to a NATS server outside the process. */
export interface ConnectionSettings {
  /** Connection name that the NATS server shows, see {@link connectionName}. Default `LIFT`. */
  readonly name?: string;
  /** Number of attempts to restore a lost connection before it counts as closed. Default 60. */
  readonly maxReconnectAttempts?: number;
  /** Milliseconds between two attempts. Default 2,000. */
  readonly reconnectWait?: number;
  /** Milliseconds to wait for the response of a server when connecting. Default 20,000. */
  readonly connectTimeout?: number;
  /** Credentials and certificates that the address does not hold. */
  readonly access?: Pick<ConnectionOptions, 'user' | 'pass' | 'token' | 'tls'>;
}

/** Codes of the `nats` package for a connection that the server refuses permanently. */
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

/** Connects to `nats://host:port`; rejects with the error of the `nats` package when no server responds. */
export async function openConnection(url: string, settings: ConnectionSettings): Promise<NatsConnection> {
  const address = natsAddress(url);
  // Loaded on demand: a broker with its own bus does not need the package.
  const { connect } = await import('nats');
  return connect({
    ...address,
    ...settings.access,
    name: settings.name ?? 'LIFT',
    maxReconnectAttempts: settings.maxReconnectAttempts ?? 60,
    reconnectTimeWait: settings.reconnectWait ?? 2_000,
    timeout: settings.connectTimeout ?? 20_000,
  });
}

/** The error to report when a server has permanently rejected the credentials; null for any other end of a connection. */
export function refusal(reason: unknown): Error | null {
  if (!(reason instanceof Error) || !REFUSALS.has(codeOf(reason))) return null;
  const text = `the NATS server rejected the credentials (${reason.message.replaceAll("'", '')})`;
  return new Error(`${text}; to reconnect, call attachNats() with other credentials`, { cause: reason });
}

/** Whether a call failed because the connection was lost during it. */
export function isDisconnect(error: Error): boolean {
  return codeOf(error) === 'DISCONNECT';
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : undefined;
}
