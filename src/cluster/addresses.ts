import { isIPv6 } from 'node:net';
import { InvalidArgumentError } from '../errors.js';
import { arrayOf, describe, type Rule, readValue } from '../options.js';
import { addressFault, authorityOf } from '../transport/authority.js';

/** The port that Liftbridge listens on unless configured otherwise. */
const DEFAULT_PORT = 9292;

const ADDRESSES: Rule = {
  expected: 'an address or a non-empty array of addresses',
  accepts: (value) => Array.isArray(value) && value.length > 0,
  read: arrayOf({
    expected: 'an address like "host", "host:9292" or "[::1]:9292"',
    accepts: (value) => typeof value === 'string',
  }).read!,
};

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
  if (isIPv6(text)) return checked({ host: text, port: DEFAULT_PORT }, where, what, text);
  const match = /^(?:\[(?<ipv6>[^\]]+)\]|(?<name>[^\s:/[\]]+))(?::(?<port>\d{1,5}))?$/.exec(text);
  const host = match?.groups?.ipv6 ?? match?.groups?.name;
  const port = match?.groups?.port === undefined ? DEFAULT_PORT : Number(match.groups.port);
  if (host === undefined) throw refused(where, what, text);
  if (match?.groups?.ipv6 !== undefined && !isIPv6(host)) throw refused(where, what, text);
  return checked({ host, port }, where, what, text);
}

/** The address itself, when a connection to it can be tried. */
function checked(address: Address, where: string, what: string, text: string): Address {
  const fault = addressFault(address.host, address.port);
  if (fault !== null) throw refused(where, what, text, fault);
  return address;
}

function refused(where: string, what: string, text: unknown, fault?: string): InvalidArgumentError {
  const why = fault === undefined ? '' : `: ${fault}`;
  return new InvalidArgumentError(
    `${where}: expected ${what} to be an address like "host", "host:9292" or "[::1]:9292", got ${describe(text)}${why}`,
    { operation: where },
  );
}

/** The address as `host:port`, an IPv6 host in brackets. */
export function formatAddress({ host, port }: Address): string {
  return authorityOf(host, port);
}

/** Reads the first addresses that `connect` is given. Throws InvalidArgumentError when there is none, or one is invalid. */
export function parseSeeds(servers: unknown): readonly Address[] {
  if (typeof servers !== 'string') {
    const list = readValue('connect', 'servers', servers, ADDRESSES) as unknown[];
    return list.map((server, index) => parseAddress(server, 'connect', `servers[${index}]`));
  }
  if (!servers.includes(',')) return [parseAddress(servers)];
  const message = `connect: expected servers to be one address, got ${describe(servers)}. For several addresses pass an array`;
  throw new InvalidArgumentError(message, { operation: 'connect' });
}
