import { quoted } from 'liftbridge-client/protocol';
import { type NatsServer, type NatsServerOptions, resolveNatsServer } from './nats-options.js';
import { BrokerOptionError, unknownName, wrongValue } from './option-error.js';
import { isPem, readPem } from './pem.js';
import { readOptions } from './read-options.js';
import type { SettingName, Settings } from './setting-rules.js';
import { isSettingName, type ResolvedSettings, resolveGiven } from './settings.js';

/** Certificates of a broker that speaks TLS, in PEM. */
export interface BrokerTlsOptions {
  /** The certificate, with the rest of its chain. */
  readonly cert: string | Uint8Array;
  /** Its private key. */
  readonly key: string | Uint8Array;
  /** With it every client needs a certificate that this authority signed (mutual TLS). */
  readonly clientCa?: string | Uint8Array;
}

/** Options of {@link TestBroker}. Durations are milliseconds. */
export interface TestBrokerOptions {
  /** Brokers of the cluster, each on its own port. Default 1, at most 64. */
  readonly brokers?: number;
  /** Port of the first broker; the others take the ports after it. Default 0: any free port. */
  readonly port?: number;
  /** Address that the brokers and the NATS listener bind to. Default `127.0.0.1`. */
  readonly host?: string;
  /** Port of the embedded NATS listener; it implies `nats`. Default 0: any free port. */
  readonly natsPort?: number;
  /**
   * `true`: an embedded NATS listener; `nats://host:port`, or an object with credentials and certificates: attach to that
   * NATS server. Default false.
   */
  readonly nats?: boolean | string | NatsServerOptions;
  /**
   * Partitions of the cursors stream. Default 1, because cursors and consumer groups need it. 0: cursors are disabled,
   * which is the default of the server.
   */
  readonly cursorsPartitions?: number;
  /** Whether changes to streams are recorded in `__activity`. Default false. */
  readonly activityStream?: boolean;
  /** Timeouts of consumer groups. */
  readonly groups?: {
    /** A member leaves its group after this time without a request. Default 15,000. */
    readonly consumerTimeout?: number;
    /** How long members retry calls to a coordinator that does not respond. Default 15,000. */
    readonly coordinatorTimeout?: number;
  };
  /** Any other setting by its name in the server's configuration, such as `'streams.retention.max.messages': 5`. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Makes the brokers speak TLS. Default: plaintext. */
  readonly tls?: BrokerTlsOptions;
  /** Directory that keeps streams across restarts. Default: memory only. */
  readonly dataDir?: string;
  /**
   * How long a broker recovers from a restart. Like the real server it first refuses connections, then knows no stream,
   * then shows past metadata, and then leads no partition. 0: it is ready at once, with every committed message.
   * Default 200, and the times of the real server when `clustering.replica.max.leader.timeout` is more than a second.
   */
  readonly recoveryTime?: number;
}

/** The validated options of a broker, with every default. */
export interface ResolvedOptions extends ResolvedSettings {
  readonly brokers: number;
  readonly port: number;
  /** Address to bind. */
  readonly host: string;
  /** Host in the addresses that clients receive. */
  readonly advertisedHost: string;
  readonly natsPort: number;
  /** A string is the address to attach to. */
  readonly nats: boolean | string;
  /** The NATS server to attach to. */
  readonly natsServer: NatsServer | null;
  readonly tls: BrokerTlsOptions | null;
  readonly dataDir: string | null;
  /** Milliseconds; null for the default. */
  readonly recoveryTime: number | null;
}

const OPTION_NAMES = [
  'brokers',
  'port',
  'host',
  'natsPort',
  'nats',
  'cursorsPartitions',
  'activityStream',
  'groups',
  'settings',
  'tls',
  'dataDir',
  'recoveryTime',
] as const satisfies readonly (keyof TestBrokerOptions)[];

const MAX_BROKERS = 64;
/** Longest host name of DNS, in characters. */
const MAX_HOST_LENGTH = 253;
const DEFAULT_CURSORS_PARTITIONS = 1;
const ANY_HOST = new Set(['', '0.0.0.0', '::']);

/**
 * Validates options and fills in the defaults. Throws BrokerOptionError for an unknown name, an invalid value, and an
 * option that contradicts the setting with the same meaning.
 */
export function resolveOptions(given: TestBrokerOptions = {}): ResolvedOptions {
  const options = readOptions<TestBrokerOptions>('options', given);
  checkNames(options);
  const resolved = resolveGiven(withOptions(options));
  const { settings } = resolved;
  const brokers = integer('brokers', options.brokers ?? 1, 1, MAX_BROKERS);
  const port = resolved.given.has('port') ? settings.port : (settings.listen?.port ?? 0);
  if (port > 0 && port + brokers - 1 > 65_535) throw wrongValue('port', `at most ${65_536 - brokers}`, port);
  const natsServer = attachedServer(options, settings);
  const host = options.host ?? (settings.listen?.host || '127.0.0.1');
  return {
    ...resolved,
    brokers,
    port,
    host,
    advertisedHost: settings.host ?? (ANY_HOST.has(host) ? 'localhost' : host),
    natsPort: integer('natsPort', options.natsPort ?? 0, 0, 65_535),
    nats: natsServer?.url ?? resolveNats(options, settings),
    natsServer,
    tls: resolveTls(options.tls, settings),
    dataDir: settings['data.dir'],
    recoveryTime: options.recoveryTime === undefined ? null : milliseconds('recoveryTime', options.recoveryTime),
  };
}

/** Throws BrokerOptionError for anything but a duration. */
export function milliseconds(option: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0 && Number.isFinite(value)) return value;
  throw wrongValue(option, 'a number of milliseconds of at least 0', value);
}

function checkNames(options: TestBrokerOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if ((OPTION_NAMES as readonly string[]).includes(name)) continue;
    if (isSettingName(name))
      throw new BrokerOptionError(name, value, `unknown option ${quoted(name)}; pass it inside settings`);
    throw unknownName('option', name, value, OPTION_NAMES);
  }
  const groups: unknown = options.groups ?? {};
  if (typeof groups !== 'object') throw wrongValue('groups', 'an object', groups);
  for (const [name, value] of Object.entries(options.groups ?? {})) {
    if (name !== 'consumerTimeout' && name !== 'coordinatorTimeout')
      throw unknownName('option', `groups.${name}`, value, ['groups.consumerTimeout', 'groups.coordinatorTimeout']);
  }
  if (options.host !== undefined && !isHost(options.host))
    throw wrongValue('host', `a name or an address of 1 to ${MAX_HOST_LENGTH} characters without spaces`, options.host);
}

function isHost(host: unknown): boolean {
  return typeof host === 'string' && host.length <= MAX_HOST_LENGTH && /^[!-~]+$/.test(host);
}

/** The settings, including those that other options set. */
function withOptions(options: TestBrokerOptions): Record<string, unknown> {
  const settings: Record<string, unknown> = { ...options.settings };
  const own = resolveGiven(options.settings);
  const cursors = own.given.has('cursors.stream.partitions') ? undefined : DEFAULT_CURSORS_PARTITIONS;
  const standFor: readonly (readonly [string, unknown, SettingName])[] = [
    ['port', options.port, 'port'],
    ['dataDir', options.dataDir, 'data.dir'],
    ['cursorsPartitions', options.cursorsPartitions ?? cursors, 'cursors.stream.partitions'],
    ['activityStream', options.activityStream, 'activity.stream.enabled'],
    ['groups.consumerTimeout', options.groups?.consumerTimeout, 'groups.consumer.timeout'],
    ['groups.coordinatorTimeout', options.groups?.coordinatorTimeout, 'groups.coordinator.timeout'],
  ];
  for (const [option, value, setting] of standFor) {
    if (value === undefined) continue;
    relabel(option, setting, () => resolveGiven({ [setting]: value }));
    if (!own.given.has(setting)) settings[setting] = value;
    else if (own.settings[setting] !== value)
      throw new BrokerOptionError(
        option,
        value,
        `option ${option} contradicts the setting ${setting}; give one of them`,
      );
  }
  return settings;
}

/** Checks a setting; the error names the option that set it. */
function relabel(option: string, setting: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof BrokerOptionError)) throw error;
    throw new BrokerOptionError(option, error.value, error.message.replace(setting, option), { cause: error });
  }
}

function integer(option: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw wrongValue(option, `an integer from ${min} to ${max}`, value);
}

/** The NATS server to attach to; null with an embedded one or none. */
function attachedServer({ nats, natsPort }: TestBrokerOptions, settings: Settings): NatsServer | null {
  if (typeof nats === 'string' || (typeof nats === 'object' && nats !== null)) {
    const server = resolveNatsServer(nats, settings);
    if (natsPort === undefined) return server;
    const text = 'option natsPort contradicts nats, which attaches to a NATS server; give one of them';
    throw new BrokerOptionError('natsPort', natsPort, text);
  }
  const servers = settings['nats.servers'];
  if (nats !== undefined || natsPort !== undefined || servers.length === 0) return null;
  const urls = servers.map((server) => (server.includes('://') ? server : `nats://${server}`));
  return resolveNatsServer(urls.join(','), settings);
}

function resolveNats({ nats, natsPort }: TestBrokerOptions, settings: Settings): boolean {
  if (nats !== undefined && typeof nats !== 'boolean')
    throw wrongValue('nats', 'true, false, a URL nats://host:port or an object with a url', nats);
  if (nats === false && natsPort !== undefined)
    throw new BrokerOptionError('natsPort', natsPort, 'option natsPort contradicts nats: false');
  return nats ?? (natsPort !== undefined || settings['nats.embedded']);
}

function resolveTls(tls: BrokerTlsOptions | undefined, settings: Settings): BrokerTlsOptions | null {
  if (tls === undefined) return tlsFromFiles(settings);
  if (typeof tls !== 'object' || tls === null) throw wrongValue('tls', 'an object with cert and key', tls);
  for (const [name, value] of Object.entries(tls)) {
    if (name !== 'cert' && name !== 'key' && name !== 'clientCa')
      throw unknownName('option', `tls.${name}`, value, ['tls.cert', 'tls.key', 'tls.clientCa']);
  }
  for (const name of ['cert', 'key', 'clientCa'] as const) {
    if (name === 'clientCa' && tls.clientCa === undefined) continue;
    if (!isPem(tls[name])) throw wrongValue(`tls.${name}`, 'a certificate or key in PEM', tls[name]);
  }
  return tls;
}

/** TLS in the form of the server's configuration: paths of PEM files. */
function tlsFromFiles(settings: Settings): BrokerTlsOptions | null {
  const cert = settings['tls.cert'];
  const key = settings['tls.key'];
  if (cert === null && key === null) {
    if (!settings['tls.client.auth.enabled']) return null;
    throw new BrokerOptionError('tls.cert', cert, 'setting tls.client.auth.enabled needs tls.cert and tls.key');
  }
  if (cert === null) throw new BrokerOptionError('tls.cert', cert, 'setting tls.key needs tls.cert as well');
  if (key === null) throw new BrokerOptionError('tls.key', key, 'setting tls.cert needs tls.key as well');
  const files = { cert: readPem('tls.cert', cert), key: readPem('tls.key', key) };
  if (!settings['tls.client.auth.enabled']) return files;
  const ca = settings['tls.client.auth.ca'];
  if (ca === null)
    throw new BrokerOptionError('tls.client.auth.ca', ca, 'setting tls.client.auth.enabled needs tls.client.auth.ca');
  return { ...files, clientCa: readPem('tls.client.auth.ca', ca) };
}
