import { ProtocolError } from './protocol-error.js';

/** What a client asked for in CONNECT, as far as it changes what the server does. */
export interface ConnectOptions {
  /** +OK after each command. */
  readonly verbose: boolean;
  /** A publish subject is checked. */
  readonly pedantic: boolean;
  /** Own messages come back to own subscriptions. */
  readonly echo: boolean;
  /** Headers may be sent and are delivered. */
  readonly headers: boolean;
  /** A request without a subscriber is answered with status 503. */
  readonly noResponders: boolean;
}

/** What holds for a client that has not sent CONNECT. */
export const BEFORE_CONNECT: ConnectOptions = {
  verbose: true,
  pedantic: true,
  echo: true,
  headers: false,
  noResponders: false,
};

/** Reads CONNECT: what it does not name stays as it was; throws ProtocolError for what the server refuses. */
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
