import { FrameSplitter } from 'liftbridge-client/protocol';
import { MovableClock } from '../../src/clock.js';
import { decodeFrame, type LogRecord } from '../../src/log/frame.js';
import type { LogEntry, PartitionLogOptions } from '../../src/log/log-types.js';
import { PartitionLog } from '../../src/log/partition-log.js';

/** A subject of 11 characters: an entry with a value of 4 bytes, no key and no reply has 83 bytes. */
export const SUBJECT = 'log.subject';

export interface Fixture {
  readonly clock: MovableClock;
  readonly log: PartitionLog;
  /** Appends a message and commits it, unless `commit` is false. */
  add(entry?: Partial<Omit<LogEntry, 'key' | 'value'>> & { key?: string; value?: string; commit?: boolean }): number;
}

/** A log with its own clock. */
export function openLog(options: Partial<PartitionLogOptions> = {}, clock = new MovableClock()): Fixture {
  const log = new PartitionLog({ stream: 'stream', partition: 0, clock, ...options });
  const add: Fixture['add'] = ({ key, value = 'data', commit = true, ...entry } = {}) => {
    const offset = log.append({
      key: key === undefined ? null : Buffer.from(key),
      value: Buffer.from(value),
      headers: [],
      subject: SUBJECT,
      reply: '',
      timestamp: clock.nanos(),
      expectedOffset: -1n,
      leaderEpoch: 1,
      ...entry,
    });
    if (commit) log.setHighWatermark(offset);
    return offset;
  };
  return { clock, log, add };
}

/** The messages in batches of frames. */
export function messages(frames: readonly Buffer[]): LogRecord[] {
  const decoded: LogRecord[] = [];
  const splitter = new FrameSplitter(64 * 1024 * 1024);
  for (const run of frames) {
    splitter.push(run, (source, start, end) => decoded.push(decodeFrame(source.subarray(start - 5, end))));
  }
  return decoded;
}

/** The offsets of the messages in batches of frames. */
export function offsets(frames: readonly Buffer[]): number[] {
  return messages(frames).map((message) => message.offset);
}

/** The offsets of all messages that the log holds. */
export function held(log: PartitionLog): number[] {
  return [...log.records()].map((record) => record.offset);
}

/** Numbers in a range, both ends included. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}
