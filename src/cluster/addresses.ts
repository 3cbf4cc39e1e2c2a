import { isIPv6 } from 'node:net';
import { InvalidArgumentError } from '../errors.js';

/** The port that Liftbridge listens on unless configured otherwise. */
export const DEFAULT_PORT = 9292;

/** A place to connect to. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads "host", "host:port", "[::1]:9292", "[::1]" or a bare IPv6 address; the port defaults to 9292.
 * Throws InvalidArgumentError, whose text begins with `where`.
 */
export function parseAddress(text: unknown, where = 'connect'): Address {
  if (typeof text !== 'string') throw refused(where, text);
  if (isIPv6(text)) return { host: text, port: DEFAULT_PORT };
  const match = /^(?:\[(?<ipv6>[^\]]+)\]|(?<name>[^\s:/[\]]+))(?::(?<port>\d{1,5}))?$/.exec(text);
  const host = match?.groups?.ipv6 ?? match?.groups?.name;
  const port = match?.groups?.port === undefined ? DEFAULT_PORT : Number(match.groups.port);
  if (host === undefined || port < 1 || port > 65_535) throw refused(where, text);
  if (match?.groups?.ipv6 !== undefined && !isIPv6(host)) throw refused(where, text);
  return { host, port };
}

function refused(where: string, text: unknown): InvalidArgumentError {
  const shown = typeof text === 'string' ? JSON.stringify(text) : String(text);
  return new InvalidArgumentError(
    `${where}: expected an address like "host", "host:9292" or "[::1]:9292", got ${shown} (${typeof text})`,
    { operation: where },
  );
}

/** The address as `host:port`, an IPv6 host in brackets. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
