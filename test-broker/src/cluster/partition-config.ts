import type { LogConfig } from '../log/log-config.js';
import type { Settings } from '../settings.js';
import type { StreamConfig } from './contract.js';

/** The name of the stream that stores cursors. */
export const CURSORS_STREAM = '__cursors';
/** The name of the stream that records changes to streams and groups. */
export const ACTIVITY_STREAM = '__activity';

/** The configuration of a partition's log: that of its stream, and the broker's settings for the rest. */
export function logConfig(config: StreamConfig, settings: Settings): Partial<LogConfig> {
  return {
    retentionMaxBytes: config.retentionMaxBytes ?? settings['streams.retention.max.bytes'],
    retentionMaxMessages: config.retentionMaxMessages ?? settings['streams.retention.max.messages'],
    retentionMaxAge: config.retentionMaxAge ?? settings['streams.retention.max.age'],
    cleanerInterval: config.cleanerInterval ?? settings['streams.cleaner.interval'],
    segmentMaxBytes: config.segmentMaxBytes ?? settings['streams.segment.max.bytes'],
    segmentMaxAge: config.segmentMaxAge ?? settings['streams.segment.max.age'],
    compactEnabled: config.compactEnabled ?? settings['streams.compact.enabled'],
    // The server reads this setting and never applies it.
    concurrencyControl: config.optimisticConcurrencyControl ?? false,
    encryption: encrypts(config, settings),
  };
}

/** Whether the values of a stream are encrypted. */
export function encrypts(config: StreamConfig, settings: Settings): boolean {
  return config.encryption ?? settings['streams.encryption'];
}

/** The number of in-sync replicas that a commit needs. */
export function minIsr(config: StreamConfig, settings: Settings): number {
  return config.minIsr ?? settings['clustering.min.insync.replicas'];
}

/** The auto-pause of an idle partition. */
export interface AutoPause {
  /** Milliseconds without a message, 0 for never. */
  readonly after: number;
  /** Whether a subscriber prevents the pause. */
  readonly unlessSubscribed: boolean;
}

/**
 * The auto-pause of a stream. That of the cursors stream follows the current settings, also when it was created under
 * others.
 */
export function autoPause(stream: string, config: StreamConfig, settings: Settings): AutoPause {
  const after = stream === CURSORS_STREAM ? settings['cursors.stream.auto.pause.time'] : config.autoPauseTime;
  return {
    after: after ?? settings['streams.auto.pause.time'],
    unlessSubscribed: config.autoPauseDisableIfSubscribers ?? settings['streams.auto.pause.disable.if.subscribers'],
  };
}
