import { InvalidArgumentError } from '../errors/error-classes.js';
import type { TlsOptions } from '../transport/credentials.js';
import { checkedMetadata } from './call-metadata.js';
import { type Logger, logger } from './logger.js';
import { type PublishDefaults, publishDefaults } from './publish-defaults.js';
import {
  arrayOf,
  callback,
  either,
  flag,
  group,
  integer,
  milliseconds,
  oneOf,
  recordOf,
  signal,
  text,
} from './rules.js';
import { describe, type Rule, readOptions, type Shape } from './validate.js';

/** How a broker is chosen for calls that any of them may serve. @inline */
export type ServerSelection = 'random' | 'latency' | 'workload';

/** A broker as the cluster advertises it. @inline */
export interface BrokerAddress {
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** gRPC call metadata, for proxies and tokens. @inline */
export type MetadataOption =
  | Readonly<Record<string, string>>
  | (() => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>);

/** How many unacknowledged publishes there may be. @inline */
export interface MaxInFlight {
  /** Default 16_384. */
  readonly messages?: number | undefined;
  /** Encoded bytes. Default 64 MiB. */
  readonly bytes?: number | undefined;
}

/** How calls that failed are tried again. @inline */
export interface RetryOptions {
  /** Attempts in all, the first one too; 1 never retries. Default 10. */
  readonly attempts?: number | undefined;
  /** Milliseconds before the second attempt; doubles with each attempt. A random part of up to a half is taken off each delay. Default 50. */
  readonly minDelay?: number | undefined;
  /** Longest delay between two attempts, in milliseconds. Default 1_000. */
  readonly maxDelay?: number | undefined;
}

/** Options of `connect`. */
export interface ClientOptions {
  /** Encrypts connections; true trusts the CAs that Node trusts. Default: plaintext. go-liftbridge: `TLSCert`, `TLSConfig`. */
  readonly tls?: boolean | TlsOptions | undefined;
  /** Who serves calls that any broker may serve. Default 'random'. go-liftbridge: `SetConnectToLowLatencyServer`, `SetConnectToLowWorkloadServer`. */
  readonly serverSelection?: ServerSelection | undefined;
  /** Milliseconds for the whole of `connect`, which tries until then. Default 10_000. */
  readonly connectTimeout?: number | undefined;
  /** Ends `connect`, which rejects with the signal's reason; no later call looks at it. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for one unary call with its retries. Default 10_000. */
  readonly requestTimeout?: number | undefined;
  /** Milliseconds that `publish` waits for its ack. Default 5_000. go-liftbridge: `AckWaitTime`. */
  readonly ackTimeout?: number | undefined;
  /** Milliseconds that a broken subscription keeps trying; 0 never tries. Default 30_000. go-liftbridge: `ResubscribeWaitTime`. */
  readonly resubscribeTimeout?: number | undefined;
  /**
   * Milliseconds after which the metadata of streams in use is fetched again, so that the keys of a stream that was created
   * again with other partitions go where those of every other client go. Default 60_000.
   */
  readonly metadataMaxAge?: number | undefined;
  /** Unacknowledged publishes; beyond it publishes queue in order. */
  readonly maxInFlight?: MaxInFlight | undefined;
  /** Retries of unary calls. */
  readonly retry?: RetryOptions | undefined;
  /** Where the client reports what it does. Default: nowhere. */
  readonly logger?: Logger | undefined;
  /** What each publish has unless the call says otherwise. Default: nothing. */
  readonly publishDefaults?: PublishDefaults | undefined;
  /** Encoded bytes of one publish; a larger one rejects alone, before it is sent. Default 4 MiB less framing. */
  readonly maxMessageBytes?: number | undefined;
  /** Translates the address of an advertised broker: Kubernetes, Docker, port-forwards. Answers "host", "host:port" or "[::1]:9292". */
  readonly resolveBroker?: ((broker: BrokerAddress) => string) | undefined;
  /**
   * gRPC call metadata of every call, or what makes it. A function that throws or rejects is called again with the attempts of
   * `retry`, for a publish three times in a row; what it returns and gRPC cannot carry is not asked for again. Then the call
   * rejects with HANDLER_FAILED and the function's error as `cause`.
   */
  readonly metadata?: MetadataOption | undefined;
}

/** ClientOptions with every default filled in, without what is of `connect` alone. */
export interface ResolvedClientOptions {
  readonly tls: boolean | TlsOptions;
  readonly serverSelection: ServerSelection;
  readonly connectTimeout: number;
  readonly requestTimeout: number;
  readonly ackTimeout: number;
  readonly resubscribeTimeout: number;
  readonly metadataMaxAge: number;
  readonly maxInFlight: { readonly messages: number; readonly bytes: number };
  readonly retry: { readonly attempts: number; readonly minDelay: number; readonly maxDelay: number };
  readonly logger: Logger;
  readonly maxMessageBytes: number;
  readonly publishDefaults: PublishDefaults | undefined;
  readonly resolveBroker: ((broker: BrokerAddress) => string) | undefined;
  readonly metadata: MetadataOption | undefined;
}

const silent = (): void => undefined;

/** What a client does unless told otherwise. */
export const CLIENT_DEFAULTS = Object.freeze({
  tls: false,
  serverSelection: 'random',
  connectTimeout: 10_000,
  requestTimeout: 10_000,
  ackTimeout: 5_000,
  resubscribeTimeout: 30_000,
  metadataMaxAge: 60_000,
  maxInFlight: Object.freeze({ messages: 16_384, bytes: 64 * 1024 * 1024 }),
  retry: Object.freeze({ attempts: 10, minDelay: 50, maxDelay: 1_000 }),
  logger: Object.freeze({ debug: silent, info: silent, warn: silent, error: silent }),
  maxMessageBytes: 4 * 1024 * 1024 - 5,
  publishDefaults: undefined,
  resolveBroker: undefined,
  metadata: undefined,
} satisfies ResolvedClientOptions);

const PART: Rule = {
  expected: 'a string or a Buffer',
  accepts: (value) => typeof value === 'string' || Buffer.isBuffer(value),
};

/** What node:tls takes for certificates and keys; it looks into them itself. */
const PEM = either(PART, arrayOf(PART));

/** Node ignores what is no certificate, and then trusts none: a path would be noticed only as a certificate that is not trusted. */
const AUTHORITIES: Rule = {
  ...PEM,
  inside: (where, name, value) => {
    const parts = Array.isArray(value) ? value : [value];
    const path = parts.find((part) => typeof part === 'string' && !part.includes('-----BEGIN'));
    if (path === undefined) return;
    const message = `${where}: expected ${name} to be certificates in PEM, got ${describe(path)}. For the path of a file pass its content, as readFile answers it`;
    throw new InvalidArgumentError(message, { operation: where });
  },
};

const TLS_SHAPE = {
  ca: AUTHORITIES,
  cert: PEM,
  key: PEM,
  passphrase: text,
  pfx: PART,
  servername: text,
  rejectUnauthorized: flag,
  checkServerIdentity: callback,
} satisfies Shape<TlsOptions>;

/** A certificate without its key, or a key without its certificate, is ignored or refused by OpenSSL only when connecting. */
const TLS_GROUP = group(TLS_SHAPE);
const TLS: Rule = {
  ...TLS_GROUP,
  inside: (where, name, value) => {
    const { cert, key } = value as TlsOptions;
    if ((cert === undefined) === (key === undefined)) return;
    const [given, missing] = cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
    const message = `${where}: expected ${name}.${missing} together with ${name}.${given}: a client certificate needs both`;
    throw new InvalidArgumentError(message, { operation: where });
  },
};

const TEXTS = recordOf(text);

/** What gRPC cannot carry is known before anybody is called. */
const CALL_METADATA: Rule = {
  ...TEXTS,
  inside: (where, name, value) => {
    try {
      checkedMetadata(value as Readonly<Record<string, string>>);
    } catch (cause) {
      const message = `${where}: expected ${name} to be gRPC call metadata: ${(cause as Error).message}`;
      throw new InvalidArgumentError(message, { operation: where, cause });
    }
  },
};

const CLIENT_SHAPE = {
  tls: either(flag, TLS),
  serverSelection: oneOf('random', 'latency', 'workload'),
  connectTimeout: milliseconds(1),
  signal,
  requestTimeout: milliseconds(1),
  ackTimeout: milliseconds(1),
  resubscribeTimeout: milliseconds(0),
  metadataMaxAge: milliseconds(1),
  maxInFlight: group<MaxInFlight>({ messages: integer(1), bytes: integer(1) }),
  retry: group<RetryOptions>({ attempts: integer(1), minDelay: milliseconds(0), maxDelay: milliseconds(0) }),
  logger,
  publishDefaults,
  maxMessageBytes: integer(1),
  resolveBroker: callback,
  metadata: either(callback, CALL_METADATA),
} satisfies Shape<ClientOptions>;

/** Reads the options of `connect` and fills the defaults in. Throws InvalidArgumentError. */
export function resolveClientOptions(options?: ClientOptions): ResolvedClientOptions {
  return resolveConnect(options).lasting;
}

/** The same, with what is of `connect` alone. */
export function resolveConnect(options: ClientOptions = {}): {
  readonly lasting: ResolvedClientOptions;
  readonly signal: AbortSignal | undefined;
} {
  const { signal, ...lasting } = readOptions<ClientOptions>('connect', options, CLIENT_SHAPE);
  const given = withoutUndefined(lasting);
  const resolved: ResolvedClientOptions = {
    ...CLIENT_DEFAULTS,
    ...given,
    maxInFlight: { ...CLIENT_DEFAULTS.maxInFlight, ...withoutUndefined(given.maxInFlight ?? {}) },
    retry: { ...CLIENT_DEFAULTS.retry, ...withoutUndefined(given.retry ?? {}) },
  };
  return { lasting: Object.freeze(resolved), signal };
}

/** An option set to undefined is an option not set: it must not hide its default. */
export function withoutUndefined<Options extends object>(
  options: Options,
): { [Name in keyof Options]: Exclude<Options[Name], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Options]: Exclude<Options[Name], undefined>;
  };
}
