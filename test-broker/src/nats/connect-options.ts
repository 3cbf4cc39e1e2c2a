import { ProtocolError } from './protocol-error.js';

/** The options of CONNECT that change the behaviour of the server. */
export interface ConnectOptions {
  /** Whether +OK follows each command. */
  readonly verbose: boolean;
  /** Whether publish subjects are checked. */
  readonly pedantic: boolean;
  /** Whether a client receives its own messages. */
  readonly echo: boolean;
  /** Whether the client may send and receive headers. */
  readonly headers: boolean;
  /** Whether a request without a subscriber gets status 503. */
  readonly noResponders: boolean;
}

/** The options of a client before CONNECT. */
export const BEFORE_CONNECT: ConnectOptions = {
  verbose: true,
  pedantic: true,
  echo: true,
  headers: false,
  noResponders: false,
};

/**
 * Parses CONNECT: options that it does not name stay unchanged; throws ProtocolError for values that the server
 * refuses.
 */
export function readConnectOptions(json: string, before: ConnectOptions): ConnectOptions {
  const given = fields(json);
  const protocol = given.get('protocol') ?? 0;
  if (!Number.isInteger(protocol)) throw new ProtocolError(null);
  if (protocol !== 0 && protocol !== 1) throw new ProtocolError('invalid client protocol');
  const options: ConnectOptions = {
    verbose: flag(given, 'verbose') ?? before.verbose,
    pedantic: flag(given, 'pedantic') ?? before.pedantic,
    echo: flag(given, 'echo') ?? before.echo,
    headers: flag(given, 'headers') ?? before.headers,
    noResponders: flag(given, 'no_responders') ?? before.noResponders,
  };
  if (options.noResponders && !options.headers) throw new ProtocolError('no responders requires headers support');
  return options;
}

function fields(json: string): Map<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new ProtocolError(null);
  }
  if (value === null) return new Map();
  if (typeof value !== 'object' || Array.isArray(value)) throw new ProtocolError(null);
  // The server's decoder takes field names in any case.
  return new Map(Object.entries(value).map(([name, field]) => [name.toLowerCase(), field]));
}

function flag(given: Map<string, unknown>, name: string): boolean | undefined {
  const value = given.get(name) ?? undefined;
  if (value !== undefined && typeof value !== 'boolean') throw new ProtocolError(null);
  return value;
}
