import { natsAddress } from './nats/nats-address.js';
import { BrokerOptionError, wrongValue } from './option-error.js';
import { isPem, readPem } from './pem.js';
import { readOptions } from './read-options.js';
import type { Settings } from './setting-rules.js';

/** A NATS server that the brokers attach to. */
export interface NatsServerOptions {
  /** `nats://host:port`, or `tls://host:port` for TLS; separate several with commas. It may hold credentials. */
  readonly url: string;
  /** Name of the user. */
  readonly user?: string;
  /** Password of the user. */
  readonly password?: string;
  /** Token, for a server that authenticates by token instead of user. */
  readonly token?: string;
  /** Authority that signed the certificate of the server, PEM. Default: the authorities that Node trusts. */
  readonly ca?: string | Uint8Array;
  /** Certificate of this client, PEM, for a server that requires one. */
  readonly cert?: string | Uint8Array;
  /** Its private key, PEM. */
  readonly key?: string | Uint8Array;
}

/** Options to connect a NATS client: those of `connect` in the packages `nats` and `@nats-io/transport-node`. */
export interface NatsClientOptions {
  /** `host:port` of each server. */
  readonly servers: string[];
  /** Name of the user. */
  readonly user?: string;
  /** Password of the user. */
  readonly pass?: string;
  /** Token, instead of a user. */
  readonly token?: string;
  /** Enables TLS. Certificates and key are PEM. */
  readonly tls?: {
    /** Authority that signed the certificate of the server. */
    readonly ca?: string;
    /** Certificate of the client. */
    readonly cert?: string;
    /** Private key of `cert`. */
    readonly key?: string;
  };
}

/** A validated NATS server. */
export interface NatsServer {
  /** With the credentials. */
  readonly url: string;
  readonly client: NatsClientOptions;
}

const ADDRESS = /^(nats|tls):\/\/[^\s/]+/;
const NAMES = ['url', 'user', 'password', 'token', 'ca', 'cert', 'key'] as const;

/**
 * The server of the option `nats`. The settings `nats.user`, `nats.password` and `nats.tls.*` fill in what it lacks.
 * Throws BrokerOptionError.
 */
export function resolveNatsServer(nats: string | NatsServerOptions, settings?: Settings): NatsServer {
  const given = typeof nats === 'string' ? { url: nats } : checkServer(nats);
  const { url } = given;
  if (typeof url !== 'string' || !ADDRESS.test(url))
    throw wrongValue(typeof nats === 'string' ? 'nats' : 'nats.url', 'true, false or a URL nats://host:port', url);
  const { tls, ...address } = readAddress(url);
  const credentials = credentialsOf(given, address, settings);
  const certificates = { ...certificatesOf(settings), ...pemOf(given) };
  const wantsTls = tls !== undefined || Object.keys(certificates).length > 0;
  const client = { servers: address.servers, ...credentials, ...(wantsTls && { tls: certificates }) };
  return { url: withCredentials(url, client), client };
}

function checkServer(given: NatsServerOptions): NatsServerOptions {
  const nats = readOptions<NatsServerOptions>('nats', given, NAMES, 'nats.');
  for (const name of ['user', 'password', 'token'] as const) {
    const value: unknown = nats[name];
    if (value !== undefined && (typeof value !== 'string' || value === '' || /\p{Surrogate}/u.test(value)))
      throw wrongValue(`nats.${name}`, 'a non-empty string without half of a surrogate pair', value);
  }
  for (const name of ['ca', 'cert', 'key'] as const) {
    if (nats[name] !== undefined && !isPem(nats[name]))
      throw wrongValue(`nats.${name}`, 'a certificate or key in PEM', nats[name]);
  }
  const { cert, key, user, password, token } = nats;
  if ((cert === undefined) !== (key === undefined))
    throw new BrokerOptionError('nats.cert', cert, 'options nats.cert and nats.key must be given together');
  if (password !== undefined && user === undefined)
    throw new BrokerOptionError('nats.password', '(password)', 'option nats.password needs nats.user');
  if (token !== undefined && user !== undefined)
    throw new BrokerOptionError('nats.token', '(token)', 'option nats.token contradicts nats.user; give one of them');
  return nats;
}

interface Address {
  readonly servers: string[];
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  readonly tls?: object;
}

function readAddress(url: string): Address {
  try {
    return natsAddress(url) as Address;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BrokerOptionError('nats', url, reason, { cause: error });
  }
}

type Credentials = Pick<NatsClientOptions, 'user' | 'pass' | 'token'>;

function credentialsOf(given: NatsServerOptions, address: Address, settings: Settings | undefined): Credentials {
  const { user, password, token } = given;
  const { servers: _servers, ...inUrl } = address;
  if (user !== undefined || token !== undefined) {
    if (Object.keys(inUrl).length > 0)
      throw new BrokerOptionError(
        'nats.url',
        '(URL)',
        'option nats.url with credentials contradicts nats.user and nats.token; give one of them',
      );
    return {
      ...(user !== undefined && { user }),
      ...(password !== undefined && { pass: password }),
      ...(token !== undefined && { token }),
    };
  }
  if (Object.keys(inUrl).length > 0) return inUrl;
  const name = settings?.['nats.user'] ?? null;
  const pass = settings?.['nats.password'] ?? null;
  return name === null ? {} : { user: name, ...(pass !== null && { pass }) };
}

function pemOf({ ca, cert, key }: NatsServerOptions): NonNullable<NatsClientOptions['tls']> {
  const text = (value: string | Uint8Array) => (typeof value === 'string' ? value : Buffer.from(value).toString());
  return {
    ...(ca !== undefined && { ca: text(ca) }),
    ...(cert !== undefined && key !== undefined && { cert: text(cert), key: text(key) }),
  };
}

/** Certificates in the form of the server's configuration: paths of PEM files. */
function certificatesOf(settings: Settings | undefined): NonNullable<NatsClientOptions['tls']> {
  if (settings === undefined) return {};
  const ca = settings['nats.tls.ca'];
  const cert = settings['nats.tls.cert'];
  const key = settings['nats.tls.key'];
  if ((cert === null) !== (key === null))
    throw new BrokerOptionError(
      'nats.tls.cert',
      cert,
      'settings nats.tls.cert and nats.tls.key must be given together',
    );
  return {
    ...(ca !== null && { ca: readPem('nats.tls.ca', ca) }),
    ...(cert !== null && key !== null && { cert: readPem('nats.tls.cert', cert), key: readPem('nats.tls.key', key) }),
  };
}

/** The address with credentials in it, for the clients of Go and Python. */
function withCredentials(url: string, { user, pass, token }: NatsClientOptions): string {
  if (url.includes('@') || (user === undefined && token === undefined)) return url;
  const name = encodeURIComponent(user ?? token ?? '');
  const holder = pass === undefined ? name : `${name}:${encodeURIComponent(pass)}`;
  return url.replaceAll(
    /(^|,\s*)((?:nats|tls):\/\/)?/g,
    (_, before: string, scheme: string | undefined) => `${before}${scheme ?? 'nats://'}${holder}@`,
  );
}
