import { InvalidArgumentError } from '../errors.js';
import { describe } from '../options.js';
import { type Address, parseAddress } from './addresses.js';

/** Reads what `connect` is given to begin with. Throws InvalidArgumentError when there is no address, or one that is none. */
export function parseSeeds(servers: unknown): readonly Address[] {
  const list: unknown = typeof servers === 'string' ? [servers] : servers;
  if (!Array.isArray(list) || list.length === 0)
    throw new InvalidArgumentError(
      `connect: expected servers to be an address or a non-empty array of addresses, got ${describe(servers)}`,
      { operation: 'connect' },
    );
  if (typeof servers === 'string') return [parseAddress(servers)];
  return list.map((server, index) => parseAddress(server, 'connect', `servers[${index}]`));
}
