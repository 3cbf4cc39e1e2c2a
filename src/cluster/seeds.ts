import { InvalidArgumentError } from '../errors.js';
import { arrayOf, describe, type Rule, readValue } from '../options.js';
import { type Address, parseAddress } from './addresses.js';

const ADDRESSES: Rule = {
  expected: 'an address or a non-empty array of addresses',
  accepts: (value) => Array.isArray(value) && value.length > 0,
  read: arrayOf({
    expected: 'an address like "host", "host:9292" or "[::1]:9292"',
    accepts: (value) => typeof value === 'string',
  }).read!,
};

/** Reads what `connect` is given to begin with. Throws InvalidArgumentError when there is no address, or one that is none. */
export function parseSeeds(servers: unknown): readonly Address[] {
  if (typeof servers !== 'string') {
    const list = readValue('connect', 'servers', servers, ADDRESSES) as unknown[];
    return list.map((server, index) => parseAddress(server, 'connect', `servers[${index}]`));
  }
  if (!servers.includes(',')) return [parseAddress(servers)];
  const message = `connect: expected servers to be one address, got ${describe(servers)}. For several addresses pass an array`;
  throw new InvalidArgumentError(message, { operation: 'connect' });
}
