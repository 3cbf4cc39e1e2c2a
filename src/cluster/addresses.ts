import { isIPv6 } from 'node:net';
import { InvalidArgumentError } from '../errors.js';
import { describe } from '../options.js';

/** The port that Liftbridge listens on unless configured otherwise. */
export const DEFAULT_PORT = 9292;

/** A place to connect to. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads "host", "host:port", "[::1]:9292", "[::1]" or a bare IPv6 address; the port defaults to 9292.
 * Throws InvalidArgumentError, whose text begins with `where` and calls the address `what`.
 */
export function parseAddress(text: unknown, where = 'connect', what = 'servers'): Address {
  if (typeof text !== 'string') throw refused(where, what, text);
  if (isIPv6(text)) return { host: text, port: DEFAULT_PORT };
  const match = /^(?:\[(?<ipv6>[^\]]+)\]|(?<name>[^\s:/[\]]+))(?::(?<port>\d{1,5}))?$/.exec(text);
  const host = match?.groups?.ipv6 ?? match?.groups?.name;
  const port = match?.groups?.port === undefined ? DEFAULT_PORT : Number(match.groups.port);
  if (host === undefined || port < 1 || port > 65_535) throw refused(where, what, text);
  if (match?.groups?.ipv6 !== undefined && !isIPv6(host)) throw refused(where, what, text);
  return { host, port };
}

function refused(where: string, what: string, text: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    `${where}: expected ${what} to be an address like "host", "host:9292" or "[::1]:9292", got ${describe(text)}`,
    { operation: where },
  );
}

/** The address as `host:port`, an IPv6 host in brackets. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
