const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** The configuration of a partition log. Times are milliseconds. */
export interface LogConfig {
  /** Limit of retained entry bytes, 0 for none. Default 0. */
  readonly retentionMaxBytes: number;
  /** Limit of retained messages, 0 for none. Default 0. */
  readonly retentionMaxMessages: number;
  /** Age at which a segment is deleted, by its last write; 0 for never. Default 7 days. */
  readonly retentionMaxAge: number;
  /** Time between two runs of the cleaner, 0 for the server's 5 minutes. Default 5 minutes. */
  readonly cleanerInterval: number;
  /** Entry bytes at which a segment is full, 0 for 1 GiB. Default 256 MiB. */
  readonly segmentMaxBytes: number;
  /** Age at which a segment is full, by its first write; 0 for never. Default 7 days. */
  readonly segmentMaxAge: number;
  /** Whether full segments keep only the last message of each key. Default false. */
  readonly compactEnabled: boolean;
  /** Whether every append checks the expected offset. Default false. */
  readonly concurrencyControl: boolean;
  /** Whether values are stored encrypted. Default false. */
  readonly encryption: boolean;
}

/** The server's own defaults. */
const LOG_DEFAULTS = Object.freeze({
  retentionMaxBytes: 0,
  retentionMaxMessages: 0,
  retentionMaxAge: 7 * DAY_MS,
  cleanerInterval: 5 * MINUTE_MS,
  segmentMaxBytes: 256 * 1024 * 1024,
  segmentMaxAge: 7 * DAY_MS,
  compactEnabled: false,
  concurrencyControl: false,
  encryption: false,
}) satisfies LogConfig;

const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024;

const NUMBERS = [
  'retentionMaxBytes',
  'retentionMaxMessages',
  'retentionMaxAge',
  'cleanerInterval',
  'segmentMaxBytes',
  'segmentMaxAge',
] as const;

/**
 * Fills in the defaults of a configuration, and replaces 0 where the server takes it for "use another value". Negative
 * retention limits and segment ages mean no limit, as 0 does. Throws RangeError for values that crash the real server:
 * a negative cleaner interval or segment size.
 */
export function resolveLogConfig(given: Partial<LogConfig> = {}): LogConfig {
  const config = { ...LOG_DEFAULTS, ...given };
  for (const name of NUMBERS) {
    if (!Number.isFinite(config[name])) {
      throw new RangeError(`expected ${name} to be a finite number, got ${config[name]}`);
    }
  }
  for (const name of ['cleanerInterval', 'segmentMaxBytes'] as const) {
    if (config[name] < 0) throw new RangeError(`expected ${name} to be at least 0, got ${config[name]}`);
  }
  return {
    ...config,
    cleanerInterval: config.cleanerInterval || LOG_DEFAULTS.cleanerInterval,
    segmentMaxBytes: config.segmentMaxBytes || MAX_SEGMENT_BYTES,
  };
}
