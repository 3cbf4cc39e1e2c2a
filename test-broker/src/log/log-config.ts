const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** How a partition log keeps its messages. Times are milliseconds. */
export interface LogConfig {
  /** Entry bytes that are kept, 0 for all. Default 0. */
  readonly retentionMaxBytes: number;
  /** Messages that are kept, 0 for all. Default 0. */
  readonly retentionMaxMessages: number;
  /** Age at which a segment goes, by its last write; 0 for never. Default 7 days. */
  readonly retentionMaxAge: number;
  /** Time between two runs of the cleaner, 0 for the server's 5 minutes. Default 5 minutes. */
  readonly cleanerInterval: number;
  /** Entry bytes at which a segment is full, 0 for 1 GiB. Default 256 MiB. */
  readonly segmentMaxBytes: number;
  /** Age at which a segment is full, by its first write; 0 for never. Default 7 days. */
  readonly segmentMaxAge: number;
  /** Keep only the last message of each key in segments that are full. Default false. */
  readonly compactEnabled: boolean;
  /** Check the expected offset of every append. Default false. */
  readonly concurrencyControl: boolean;
  /** Store values encrypted. Default false. */
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
 * The resolved configuration of a log: what is given, the defaults for the rest, and 0 replaced where the server
 * takes it for "use another value". Negative retention limits and segment ages mean no limit, as 0 does.
 * Throws RangeError for what the real server does not survive: a negative cleaner interval or segment size.
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
