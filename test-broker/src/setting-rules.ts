import { wrongValue } from './option-error.js';

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** The longest duration of Go, in milliseconds: its durations are nanoseconds in 64 bits. */
const MAX_DURATION_MS = 9_223_372_036_854;
/** All of these partitions are in memory from the start. */
const MAX_CURSORS_PARTITIONS = 10_000;

/**
 * A setting of the server, by its name in the server's configuration file. Written out, so that the published types hold
 * the names and not the table of rules.
 */
export type SettingName =
  | 'listen'
  | 'host'
  | 'port'
  | 'data.dir'
  | 'metadata.cache.max.age'
  | 'batch.max.messages'
  | 'batch.max.time'
  | 'tls.cert'
  | 'tls.key'
  | 'tls.client.auth.enabled'
  | 'tls.client.auth.ca'
  | 'tls.client.authz.enabled'
  | 'tls.client.authz.model'
  | 'tls.client.authz.policy'
  | 'nats.servers'
  | 'nats.user'
  | 'nats.password'
  | 'nats.tls.cert'
  | 'nats.tls.key'
  | 'nats.tls.ca'
  | 'nats.embedded'
  | 'nats.embedded.config'
  | 'clustering.server.id'
  | 'clustering.namespace'
  | 'clustering.min.insync.replicas'
  | 'clustering.replication.max.bytes'
  | 'clustering.replica.max.lag.time'
  | 'clustering.replica.max.leader.timeout'
  | 'clustering.replica.max.idle.wait'
  | 'clustering.replica.fetch.timeout'
  | 'clustering.raft.snapshot.retain'
  | 'clustering.raft.snapshot.threshold'
  | 'clustering.raft.cache.size'
  | 'clustering.raft.bootstrap.seed'
  | 'clustering.raft.bootstrap.peers'
  | 'clustering.raft.max.quorum.size'
  | 'streams.retention.max.bytes'
  | 'streams.retention.max.messages'
  | 'streams.retention.max.age'
  | 'streams.cleaner.interval'
  | 'streams.segment.max.bytes'
  | 'streams.segment.max.age'
  | 'streams.compact.enabled'
  | 'streams.compact.max.goroutines'
  | 'streams.auto.pause.time'
  | 'streams.auto.pause.disable.if.subscribers'
  | 'streams.concurrency.control'
  | 'streams.encryption'
  | 'activity.stream.enabled'
  | 'activity.stream.publish.timeout'
  | 'activity.stream.publish.ack.policy'
  | 'cursors.stream.partitions'
  | 'cursors.stream.replication.factor'
  | 'cursors.stream.auto.pause.time'
  | 'groups.consumer.timeout'
  | 'groups.coordinator.timeout'
  | 'logging.level'
  | 'logging.recovery'
  | 'logging.raft'
  | 'logging.nats';

/** `inert`: accepted without effect on this broker, because a server's configuration may hold it. */
type Common = { readonly inert?: true };
type Rule = Common &
  (
    | { readonly kind: 'duration'; readonly default: number }
    | { readonly kind: 'count'; readonly default: number; readonly min?: number; readonly max?: number }
    | { readonly kind: 'flag'; readonly default: boolean }
    | { readonly kind: 'text'; readonly default: string | null }
    | { readonly kind: 'choice'; readonly default: string; readonly of: readonly string[] }
    | { readonly kind: 'texts'; readonly default: readonly string[] }
    | { readonly kind: 'address'; readonly default: null }
    | { readonly kind: 'policy'; readonly default: null }
  );

const duration = <D extends number>(ms: D) => ({ kind: 'duration', default: ms }) as const;
const count = (value: number, min = 0, max = Number.MAX_SAFE_INTEGER) =>
  ({ kind: 'count', default: value, min, max }) as const;
const flag = (value: boolean) => ({ kind: 'flag', default: value }) as const;
const text = <D extends string | null = null>(value: D = null as D) => ({ kind: 'text', default: value }) as const;
const texts = () => ({ kind: 'texts', default: [] as readonly string[] }) as const;
const inert = <R extends Rule>(rule: R) => ({ ...rule, inert: true }) as const;

/** Every setting by its name in the server's configuration, with the server's default. Durations are milliseconds. */
export const RULES = Object.freeze({
  listen: { kind: 'address', default: null } as const,
  host: text(),
  port: count(9292, 0, 65_535),
  'data.dir': text(),
  'metadata.cache.max.age': duration(2 * MINUTE_MS),
  'batch.max.messages': count(1024, 1),
  'batch.max.time': duration(0),
  'tls.cert': text(),
  'tls.key': text(),
  'tls.client.auth.enabled': flag(false),
  'tls.client.auth.ca': text(),
  'tls.client.authz.enabled': flag(false),
  'tls.client.authz.model': inert(text()),
  'tls.client.authz.policy': { kind: 'policy', default: null } as const,
  'nats.servers': texts(),
  'nats.user': text(),
  'nats.password': text(),
  'nats.tls.cert': text(),
  'nats.tls.key': text(),
  'nats.tls.ca': text(),
  'nats.embedded': flag(false),
  'nats.embedded.config': inert(text()),
  'clustering.server.id': text(),
  'clustering.namespace': text('liftbridge-default'),
  'clustering.min.insync.replicas': count(1, 1),
  'clustering.replication.max.bytes': count(1024 * 1024, 1),
  'clustering.replica.max.lag.time': duration(15 * SECOND_MS),
  'clustering.replica.max.leader.timeout': duration(15 * SECOND_MS),
  'clustering.replica.max.idle.wait': duration(10 * SECOND_MS),
  'clustering.replica.fetch.timeout': duration(3 * SECOND_MS),
  'clustering.raft.snapshot.retain': inert(count(2)),
  'clustering.raft.snapshot.threshold': inert(count(8192)),
  'clustering.raft.cache.size': inert(count(512)),
  'clustering.raft.bootstrap.seed': inert(flag(false)),
  'clustering.raft.bootstrap.peers': inert(texts()),
  'clustering.raft.max.quorum.size': inert(count(0)),
  'streams.retention.max.bytes': count(0),
  'streams.retention.max.messages': count(0),
  'streams.retention.max.age': duration(7 * DAY_MS),
  'streams.cleaner.interval': duration(5 * MINUTE_MS),
  'streams.segment.max.bytes': count(256 * 1024 * 1024),
  'streams.segment.max.age': duration(7 * DAY_MS),
  'streams.compact.enabled': flag(false),
  'streams.compact.max.goroutines': count(0),
  'streams.auto.pause.time': duration(0),
  'streams.auto.pause.disable.if.subscribers': flag(false),
  'streams.concurrency.control': flag(false),
  'streams.encryption': flag(false),
  'activity.stream.enabled': flag(false),
  'activity.stream.publish.timeout': duration(5 * SECOND_MS),
  'activity.stream.publish.ack.policy': { kind: 'choice', default: 'all', of: ['none', 'leader', 'all'] } as const,
  'cursors.stream.partitions': count(0, 0, MAX_CURSORS_PARTITIONS),
  'cursors.stream.replication.factor': count(-1, -1),
  'cursors.stream.auto.pause.time': duration(MINUTE_MS),
  'groups.consumer.timeout': duration(15 * SECOND_MS),
  'groups.coordinator.timeout': duration(15 * SECOND_MS),
  'logging.level': inert({ kind: 'choice', default: 'info', of: ['debug', 'info', 'warn', 'error'] } as const),
  'logging.recovery': inert(flag(false)),
  'logging.raft': inert(flag(false)),
  'logging.nats': inert(flag(false)),
}) satisfies Readonly<Record<SettingName, Rule>>;

/** One rule of an access policy: who may call which RPC on which resource. */
export type PolicyRule = readonly [identity: string, resource: string, rpc: string];

type ValueOf<R> = R extends { kind: 'duration' | 'count' }
  ? number
  : R extends { kind: 'flag' }
    ? boolean
    : R extends { kind: 'choice'; of: readonly (infer C)[] }
      ? C
      : R extends { kind: 'texts' }
        ? readonly string[]
        : R extends { kind: 'text'; default: string }
          ? string
          : R extends { kind: 'policy' }
            ? string | readonly PolicyRule[] | null
            : R extends { kind: 'address' }
              ? { readonly host: string; readonly port: number } | null
              : string | null;

/** The server's settings, complete and validated. Durations are milliseconds, sizes are bytes. */
export type Settings = { readonly [N in SettingName]: ValueOf<(typeof RULES)[N]> };

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: SECOND_MS,
  m: MINUTE_MS,
  h: 60 * MINUTE_MS,
};

/** Milliseconds of a duration as Go writes it, such as `1h30m` or `250ms`; null when it is not one. */
export function parseDuration(duration: string): number | null {
  if (duration === '0') return 0;
  if (!/^\+?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(duration)) return null;
  let ms = 0;
  for (const [, amount, unit] of duration.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g))
    ms += Number(amount) * UNITS[unit!]!;
  return ms;
}

/** Validates the value of one setting and converts it to its unit. Throws BrokerOptionError. */
export function checkSetting(name: SettingName, value: unknown): unknown {
  const rule: Rule = RULES[name];
  switch (rule.kind) {
    case 'duration':
      return checkDuration(name, value);
    case 'count':
      return checkCount(name, value, rule.min ?? 0, rule.max ?? Number.MAX_SAFE_INTEGER);
    case 'flag':
      if (typeof value !== 'boolean') throw wrongValue(name, 'true or false', value);
      return value;
    case 'text':
      if (typeof value !== 'string' || value === '') throw wrongValue(name, 'a non-empty string', value);
      return value;
    case 'choice':
      if (typeof value !== 'string' || !rule.of.includes(value))
        throw wrongValue(name, `one of ${rule.of.join(', ')}`, value);
      return value;
    case 'texts':
      if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
        throw wrongValue(name, 'an array of strings', value);
      return value;
    case 'address':
      return checkAddress(name, value);
    case 'policy':
      return checkPolicy(name, value);
  }
}

function checkDuration(name: string, value: unknown): number {
  const ms = typeof value === 'string' ? parseDuration(value) : value;
  if (typeof ms === 'number' && ms >= 0 && ms <= MAX_DURATION_MS) return ms;
  throw wrongValue(name, 'milliseconds of at least 0 or a duration such as "15s", "2m" or "1h30m"', value);
}

function checkCount(name: string, value: unknown, min: number, max: number): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (
    typeof number === 'number' &&
    Number.isSafeInteger(number) &&
    number >= min &&
    number <= max &&
    !(min < 0 && number === 0)
  )
    return number;
  if (min < 0) throw wrongValue(name, 'an integer of at least 1, or -1 for all brokers', value);
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw wrongValue(name, `an integer ${range}`, value);
}

function checkAddress(name: string, value: unknown): { host: string; port: number } {
  const match = typeof value === 'string' ? /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(value) : null;
  const port = match ? Number(match[3]) : value;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw wrongValue(name, 'a port or an address such as "127.0.0.1:9292"', value);
  return { host: match?.[1] ?? match?.[2] ?? '', port };
}

function checkPolicy(name: string, value: unknown): string | readonly PolicyRule[] {
  if (typeof value === 'string' && value !== '') return value;
  const whole =
    Array.isArray(value) &&
    value.every(
      (rule) => Array.isArray(rule) && rule.length === 3 && rule.every((part: unknown) => typeof part === 'string'),
    );
  if (whole) return value as PolicyRule[];
  throw wrongValue(name, 'the path of a CSV file or an array of [identity, resource, rpc]', value);
}
