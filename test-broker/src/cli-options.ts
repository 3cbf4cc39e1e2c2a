import { parseArgs } from 'node:util';
import { quoted } from 'liftbridge-client/protocol';
import { readConfigFile } from './config-file.js';
import { BrokerOptionError, unknownName } from './option-error.js';
import type { TestBrokerOptions } from './options.js';
import { parseDuration } from './setting-rules.js';
import { settingFromText } from './settings.js';

/** The result of reading a command line. */
export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'start'; readonly options: TestBrokerOptions; readonly quiet: boolean };

/** The port that the real server listens on. */
const DEFAULT_PORT = 9292;

const FLAGS = {
  port: { type: 'string' },
  host: { type: 'string' },
  brokers: { type: 'string' },
  'nats-port': { type: 'string' },
  'nats-url': { type: 'string' },
  'data-dir': { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'tls-client-ca': { type: 'string' },
  'cursors-partitions': { type: 'string' },
  activity: { type: 'boolean' },
  'consumer-timeout': { type: 'string' },
  'coordinator-timeout': { type: 'string' },
  'recovery-time': { type: 'string' },
  set: { type: 'string', multiple: true },
  config: { type: 'string' },
  quiet: { type: 'boolean' },
  version: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

type Flag = keyof typeof FLAGS;
type Given = ReadonlyMap<Flag, readonly string[]>;

/** The text of `--help`. */
export const USAGE = `Usage: liftbridge-test-broker [options]

Runs Liftbridge brokers for tests and development until it is told to stop (SIGTERM, SIGINT). Started by npx or npm,
it stops when they end. SIGHUP makes it read the access policy again; without one it stops.
Once they serve calls it prints one line: ready grpc=<host:port>,... [nats=<url>]

  --port <n>                   port of the first broker, the others take the next ones; 0 for any free (default ${DEFAULT_PORT})
  --host <address>             address to bind (default 127.0.0.1)
  --brokers <n>                brokers in the cluster (default 1)
  --nats-port <n>              embedded NATS listener on this port; 0 for any free (default: none)
  --nats-url <url>             attach to the NATS server at nats://host:port instead
  --data-dir <path>            keep streams in this directory (default: memory only)
  --tls-cert <file>            certificate of the brokers, PEM
  --tls-key <file>             its key, PEM
  --tls-client-ca <file>       ask clients for a certificate that this authority signed, PEM
  --cursors-partitions <n>     partitions of the cursors stream; 0 disables cursors (default 1)
  --activity                   record changes to streams in the activity stream
  --consumer-timeout <t>       silence after which a consumer leaves its group (default 15s)
  --coordinator-timeout <t>    time that consumers give a silent group coordinator (default 15s)
  --recovery-time <t>          time that brokers on a used data directory recover, 0 for none (default 200ms)
  --set <name>=<value>         a setting by the server's own name, such as streams.retention.max.age=1h; repeatable
  --config <file>              settings by the server's own names, in YAML or JSON; the options above win over it
  --quiet                      print nothing but the ready line and what prevents the start
  --version                    print the version
  --help                       print this

Times are milliseconds or durations such as 250ms, 15s or 1h30m.
`;

/**
 * Reads a command line, and the configuration file that it names. Throws BrokerOptionError for an unknown option, a
 * missing value or an invalid value.
 */
export function parseCommandLine(args: readonly string[]): Command {
  const given = readFlags(args);
  if (given.has('help')) return { kind: 'help' };
  if (given.has('version')) return { kind: 'version' };
  return { kind: 'start', options: startOptions(given), quiet: given.has('quiet') };
}

function readFlags(args: readonly string[]): Given {
  const { tokens } = parseArgs({ args: [...args], options: FLAGS, strict: false, tokens: true });
  const given = new Map<Flag, string[]>();
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional')
      throw new BrokerOptionError(token.value, token.value, `unexpected argument ${quoted(token.value)}; see --help`);
    if (!isFlag(token.name)) {
      const known = Object.keys(FLAGS).map((name) => `--${name}`);
      throw unknownName('option', token.rawName, token.value, known);
    }
    const values = given.get(token.name) ?? [];
    if (values.length > 0 && token.name !== 'set') throw misused(token.name, token.value, 'given twice');
    values.push(flagValue(token.name, token.value));
    given.set(token.name, values);
  }
  return given;
}

function isFlag(name: string): name is Flag {
  return Object.hasOwn(FLAGS, name);
}

function flagValue(flag: Flag, value: string | undefined): string {
  if (FLAGS[flag].type === 'boolean') {
    if (value === undefined) return '';
    throw misused(flag, value, 'accepts no value');
  }
  if (value !== undefined && value !== '') return value;
  throw misused(flag, value, 'needs a value');
}

function misused(flag: Flag, value: unknown, why: string): BrokerOptionError {
  return new BrokerOptionError(`--${flag}`, value, `option --${flag} ${why}; see --help`);
}

function startOptions(given: Given): TestBrokerOptions {
  const flags = flagOptions(given);
  const settings = { ...configured(given.get('config')?.[0], given), ...tlsSettings(given), ...setSettings(given) };
  const portIsSet = flags.port !== undefined || 'port' in settings || 'listen' in settings;
  return { ...flags, ...(!portIsSet && { port: DEFAULT_PORT }), settings };
}

function flagOptions(given: Given): TestBrokerOptions {
  const text = (flag: Flag) => given.get(flag)?.[0];
  const options = {
    port: integer(given, 'port'),
    brokers: integer(given, 'brokers'),
    natsPort: integer(given, 'nats-port'),
    cursorsPartitions: integer(given, 'cursors-partitions'),
    host: text('host'),
    nats: text('nats-url'),
    dataDir: text('data-dir'),
    recoveryTime: duration(given, 'recovery-time'),
    activityStream: given.has('activity') ? true : undefined,
  };
  const groups = defined({
    consumerTimeout: duration(given, 'consumer-timeout'),
    coordinatorTimeout: duration(given, 'coordinator-timeout'),
  });
  return { ...defined(options), ...(Object.keys(groups).length > 0 && { groups }) };
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(record: T): Defined<T> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Defined<T>;
}

function integer(given: Given, flag: Flag): number | undefined {
  const text = given.get(flag)?.[0];
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw misused(flag, text, `expects a whole number, not ${quoted(text)}`);
}

function duration(given: Given, flag: Flag): number | undefined {
  const text = given.get(flag)?.[0];
  if (text === undefined) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) : parseDuration(text);
  if (ms !== null) return ms;
  throw misused(flag, text, `expects milliseconds or a duration such as 15s, not ${quoted(text)}`);
}

function tlsSettings(given: Given): Record<string, unknown> {
  const ca = given.get('tls-client-ca')?.[0];
  return defined({
    'tls.cert': given.get('tls-cert')?.[0],
    'tls.key': given.get('tls-key')?.[0],
    'tls.client.auth.enabled': ca === undefined ? undefined : true,
    'tls.client.auth.ca': ca,
  });
}

function setSettings(given: Given): Record<string, unknown> {
  const pairs = (given.get('set') ?? []).map((pair) => {
    const equals = pair.indexOf('=');
    if (equals <= 0) throw misused('set', pair, `expects name=value, not ${quoted(pair)}`);
    const name = pair.slice(0, equals);
    return [name, settingFromText(name, pair.slice(equals + 1))] as const;
  });
  return Object.fromEntries(pairs);
}

/** The settings that a flag sets: on the command line it takes precedence over the configuration file. */
const STANDS_FOR: readonly (readonly [Flag, readonly string[]])[] = [
  ['port', ['port', 'listen']],
  ['data-dir', ['data.dir']],
  ['cursors-partitions', ['cursors.stream.partitions']],
  ['activity', ['activity.stream.enabled']],
  ['consumer-timeout', ['groups.consumer.timeout']],
  ['coordinator-timeout', ['groups.coordinator.timeout']],
];

function configured(path: string | undefined, given: Given): Record<string, unknown> {
  if (path === undefined) return {};
  const settings = readConfigFile(path);
  for (const [flag, names] of STANDS_FOR) if (given.has(flag)) for (const name of names) delete settings[name];
  return settings;
}
