import { unknownName, wrongValue } from './option-error.js';
import { readOptions } from './read-options.js';
import { checkSetting, RULES, type SettingName, type Settings } from './setting-rules.js';

export { BrokerOptionError } from './option-error.js';
export type { PolicyRule, SettingName, Settings } from './setting-rules.js';

/** The names of all settings in the server's configuration file. */
export const SETTING_NAMES = Object.keys(RULES) as readonly SettingName[];

const MIN_SEGMENT_AGE_MS = 1_000;

/** All settings, and which of them were given. */
export interface ResolvedSettings {
  readonly settings: Settings;
  /** The given names; the others have their defaults. */
  readonly given: ReadonlySet<SettingName>;
  /** Given names without effect on this broker, such as `logging.level`. */
  readonly inert: readonly string[];
}

/**
 * Validates settings by their names in the server's configuration, dotted (`'streams.retention.max.messages': 5`),
 * nested (`{ streams: { retention: { 'max.messages': 5 } } }`) or both. Absent and undefined ones take the server's
 * default. Durations are milliseconds or Go strings (`'15s'`). Throws BrokerOptionError for an unknown name, with the
 * nearest known one, and for an invalid value.
 */
export function resolveSettings(record: Readonly<Record<string, unknown>> = {}): Settings {
  return resolveGiven(record).settings;
}

/** As {@link resolveSettings}, with the names that were given. */
export function resolveGiven(from: Readonly<Record<string, unknown>> = {}): ResolvedSettings {
  const record = readOptions<Record<string, unknown>>('settings', from);
  const values: Record<string, unknown> = {};
  for (const name of SETTING_NAMES) values[name] = RULES[name].default;
  const given = new Set<SettingName>();
  const inert: string[] = [];
  for (const [name, value] of flatten(record)) {
    if (isTelemetry(name)) {
      inert.push(name);
      continue;
    }
    if (!isSettingName(name)) throw unknownName('setting', name, value, SETTING_NAMES);
    if (given.has(name)) throw wrongValue(name, 'given once', value);
    values[name] = checkSetting(name, value);
    given.add(name);
    if ('inert' in RULES[name]) inert.push(name);
  }
  values['streams.segment.max.age'] = segmentAge(values, given);
  return { settings: Object.freeze(values) as Settings, given, inert };
}

/** Whether this is the name of a setting of the server. */
export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(RULES, name);
}

/** Converts nested names to dotted ones. Throws BrokerOptionError for a value that is no record. */
export function dottedSettings(from: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(flatten(readOptions<Record<string, unknown>>('settings', from)));
}

/**
 * Converts text from a command line to a value, by the kind of the setting. Text that does not fit is returned
 * unchanged, for `resolveSettings` to refuse.
 */
export function settingFromText(name: string, text: string): unknown {
  if (!isSettingName(name)) return text;
  const { kind } = RULES[name];
  if (kind === 'flag' && (text === 'true' || text === 'false')) return text === 'true';
  if ((kind === 'count' || kind === 'duration' || kind === 'address') && /^-?\d+$/.test(text)) return Number(text);
  if (kind === 'texts') return text.split(',').map((part) => part.trim());
  return text;
}

/** The server rolls segments by age at most once a second, and by default at the age at which they expire. */
function segmentAge(values: Record<string, unknown>, given: ReadonlySet<SettingName>): number {
  if (!given.has('streams.segment.max.age')) return values['streams.retention.max.age'] as number;
  const age = values['streams.segment.max.age'] as number;
  return age > 0 ? Math.max(age, MIN_SEGMENT_AGE_MS) : 0;
}

/** Telemetry settings belong to the exporter of the real server; this broker exports nothing. */
function isTelemetry(name: string): boolean {
  return name === 'telemetry' || name.startsWith('telemetry.');
}

function* flatten(record: Readonly<Record<string, unknown>>, prefix = ''): Generator<[string, unknown]> {
  if (!isRecord(record)) throw wrongValue('settings', 'an object of settings by name', record);
  for (const [key, value] of Object.entries(record)) {
    if (value === undefined) continue;
    const name = prefix + key;
    if (isRecord(value)) yield* flatten(value, `${name}.`);
    else yield [name, value];
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}
