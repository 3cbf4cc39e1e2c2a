import type { LogConfig } from '../log/log-config.js';
import type { Settings } from '../settings.js';
import type { StreamConfig } from './contract.js';

/** The name of the stream that cursors are kept in. */
export const CURSORS_STREAM = '__cursors';
/** The name of the stream that records what happens to streams. */
export const ACTIVITY_STREAM = '__activity';

/** How the log of a partition keeps its messages: as its stream says, and as the broker is set up for the rest. */
export function logConfig(config: StreamConfig, settings: Settings): Partial<LogConfig> {
  return {
    retentionMaxBytes: config.retentionMaxBytes ?? settings['streams.retention.max.bytes'],
    retentionMaxMessages: config.retentionMaxMessages ?? settings['streams.retention.max.messages'],
    retentionMaxAge: config.retentionMaxAge ?? settings['streams.retention.max.age'],
    cleanerInterval: config.cleanerInterval ?? settings['streams.cleaner.interval'],
    segmentMaxBytes: config.segmentMaxBytes ?? settings['streams.segment.max.bytes'],
    segmentMaxAge: config.segmentMaxAge ?? settings['streams.segment.max.age'],
    compactEnabled: config.compactEnabled ?? settings['streams.compact.enabled'],
    // The server reads its own setting for this and then never applies it.
    concurrencyControl: config.optimisticConcurrencyControl ?? false,
    encryption: encrypts(config, settings),
  };
}

/** Whether the values of a stream are encrypted. */
export function encrypts(config: StreamConfig, settings: Settings): boolean {
  return config.encryption ?? settings['streams.encryption'];
}

/** Replicas that have to be in sync before a message is committed. */
export function minIsr(config: StreamConfig, settings: Settings): number {
  return config.minIsr ?? settings['clustering.min.insync.replicas'];
}

/** When an idle partition pauses itself. */
export interface AutoPause {
  /** Milliseconds without a message, 0 for never. */
  readonly after: number;
  /** A subscriber keeps it awake. */
  readonly unlessSubscribed: boolean;
}

/** The auto-pause of a stream; that of the cursors stream follows the settings even when it was created under others. */
export function autoPause(stream: string, config: StreamConfig, settings: Settings): AutoPause {
  const after = stream === CURSORS_STREAM ? settings['cursors.stream.auto.pause.time'] : config.autoPauseTime;
  return {
    after: after ?? settings['streams.auto.pause.time'],
    unlessSubscribed: config.autoPauseDisableIfSubscribers ?? settings['streams.auto.pause.disable.if.subscribers'],
  };
}
