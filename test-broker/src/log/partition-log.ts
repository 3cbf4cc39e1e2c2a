import type { Clock } from '../clock.js';
import { decryptFrame, decryptFrames } from './decrypt-frames.js';
import type { ValueEncryption } from './encryption.js';
import { encodeEntry } from './entry-frame.js';
import { frameEntrySize } from './entry-size.js';
import { decodeFrame, eachFrame, frameOffset, frameTimestamp, type LogRecord } from './frame.js';
import { HighWatermark } from './high-watermark.js';
import { LeaderEpochs } from './leader-epochs.js';
import { Listeners } from './listeners.js';
import { LogCleaner } from './log-cleaner.js';
import { type LogConfig, resolveLogConfig } from './log-config.js';
import { EncryptionError, IncorrectOffsetError, LogError, ReadonlyLogError } from './log-error.js';
import { LogStore } from './log-store.js';
import type { LogChange, LogEntry, LogSlice, LogState, PartitionLogOptions } from './log-types.js';
import type { LogRead, SegmentList } from './segment-list.js';
import type { PartitionStorage } from './storage.js';
import { closedLookup, startOffsetAt, stopOffsetAt } from './timestamp-lookup.js';

/** The messages of one partition on one broker. Offsets are numbers, times are bigint nanoseconds. */
export class PartitionLog {
  readonly stream: string;
  readonly partition: number;
  readonly config: LogConfig;
  readonly #clock: Clock;
  readonly #storage: PartitionStorage | null;
  readonly #encryption: ValueEncryption | null;
  readonly #onWarning: (message: string) => void;
  readonly #timestampOddity: boolean;
  readonly #store: LogStore;
  readonly #changes = new Listeners<LogChange>();
  readonly #appends = new Listeners<number>();
  readonly #cleaner: LogCleaner;
  readonly #highWatermark: HighWatermark;
  #readonly = false;
  #state: LogState = 'open';

  constructor(options: PartitionLogOptions) {
    this.stream = options.stream;
    this.partition = options.partition;
    this.config = resolveLogConfig(options.config);
    this.#clock = options.clock;
    this.#storage = options.storage ?? null;
    this.#encryption = this.config.encryption ? (options.encryption ?? null) : null;
    if (this.config.encryption && this.#encryption === null) throw new EncryptionError('encryption key is missing');
    this.#onWarning = options.onWarning ?? (() => {});
    this.#timestampOddity = options.quirks?.timestampLookup ?? true;
    this.#store = new LogStore(this.config, this.#storage);
    this.#highWatermark = new HighWatermark({
      clock: this.#clock,
      storage: this.#storage,
      newestOffset: this.newestOffset,
      checkpointed: options.checkpointed ?? false,
      onDue: () => this.#attempt('checkpoint', () => this.#checkpoint()),
    });
    this.#cleaner = new LogCleaner(this.#clock, this.config, this.#store, () =>
      this.#attempt('clean', () => this.clean()),
    );
    this.#start();
  }

  get state(): LogState {
    return this.#state;
  }

  /** The segments, for readers of the log. */
  get segments(): SegmentList {
    return this.#store.segments;
  }

  /** The history of leader epochs. */
  get epochs(): LeaderEpochs {
    return this.#store.epochs;
  }

  /** The first retained offset, -1 when there is none. */
  get oldestOffset(): number {
    return this.segments.oldestOffset;
  }

  /** The last assigned offset, -1 when there is none. */
  get newestOffset(): number {
    return this.segments.nextOffset - 1;
  }

  /** The offset of the next message. */
  get nextOffset(): number {
    return this.segments.nextOffset;
  }

  /** The last committed offset, -1 when there is none. After a truncation it may be greater than the newest offset. */
  get highWatermark(): number {
    return this.#highWatermark.offset;
  }

  /** Whether no message is retained. */
  get isEmpty(): boolean {
    return this.oldestOffset === -1;
  }

  /** Whether appends are refused. Reset when the log is closed and opened again. */
  get readonly(): boolean {
    return this.#readonly;
  }

  set readonly(value: boolean) {
    if (value === this.#readonly) return;
    this.#readonly = value;
    this.#changes.tell('readonly');
  }

  /** Bytes of memory for the messages and their index. */
  get memory(): number {
    return this.segments.all.reduce((sum, segment) => sum + segment.allocated, 0);
  }

  /** Calls back synchronously on every change, until the returned function is called. The listener must not throw. */
  onChange(listener: (change: LogChange) => void): () => void {
    return this.#changes.add(listener);
  }

  /** Calls back synchronously with the offset of every appended message, until the returned function is called. */
  onAppend(listener: (offset: number) => void): () => void {
    return this.#appends.add(listener);
  }

  /**
   * Stores a message and returns its offset. Throws LogError when the log is not open, ReadonlyLogError,
   * IncorrectOffsetError, EncryptionError, and errors of the disk. The log is unchanged then.
   */
  append(entry: LogEntry): number {
    this.requireOpen();
    if (this.#readonly) throw new ReadonlyLogError();
    // As in the server, a refused message closes a full segment too.
    this.#store.rollIfDue(entry.timestamp);
    const offset = this.nextOffset;
    this.#checkExpected(entry.expectedOffset, offset);
    const { frame, size } = encodeEntry(this, entry, offset, this.#encryption);
    this.#add(frame, offset, entry.timestamp, size, Number(entry.leaderEpoch));
    return offset;
  }

  /** Moves the high watermark forward, up to the newest offset. Returns whether it moved. */
  setHighWatermark(offset: number): boolean {
    if (!this.#highWatermark.advance(Math.min(offset, this.newestOffset))) return false;
    this.#changes.tell('high-watermark');
    return true;
  }

  /**
   * Reads the messages from `from` to `to` inclusive, committed or not, of about `maxBytes` together but at least one
   * if there is one. Throws LogError when the log is not open.
   */
  read(from: number, to: number, maxBytes: number): LogRead {
    if (this.#state !== 'open') throw new LogError('segment has been closed');
    const read = this.segments.read(from, to, maxBytes);
    const encryption = this.#encryption;
    return encryption === null ? read : { ...read, frames: read.frames.map((run) => decryptFrames(run, encryption)) };
  }

  /** The frame for a subscriber, with the value decrypted. */
  readable(frame: Buffer): Buffer {
    return decryptFrame(frame, this.#encryption);
  }

  /** The stored message with this offset, null when there is none. */
  record(offset: number): LogRecord | null {
    const [record] = this.records(offset, offset);
    return record ?? null;
  }

  /** The stored messages from `from` to `to` inclusive, committed or not. */
  *records(from = 0, to = Number.MAX_SAFE_INTEGER): Generator<LogRecord> {
    for (const frame of this.segments.frames(from, to)) yield decodeFrame(this.readable(frame));
  }

  /** The stored messages from `from` back to the oldest. */
  *recordsBackwards(from = this.newestOffset): Generator<LogRecord> {
    for (const frame of this.segments.framesBackwards(from)) yield decodeFrame(this.readable(frame));
  }

  /** The lowest offset at or after a time (nanoseconds), the next offset when there is none. */
  startOffsetForTimestamp(time: bigint): number {
    if (this.#state !== 'open') throw closedLookup();
    return startOffsetAt(this.segments.all, time, this.nextOffset, this.#timestampOddity);
  }

  /** The highest offset at or before a time (nanoseconds). Throws LogError when there is none. */
  stopOffsetForTimestamp(time: bigint): number {
    if (this.#state !== 'open') throw closedLookup();
    return stopOffsetAt(this.segments.all, time, this.#timestampOddity);
  }

  /** Records that this broker leads the partition in this epoch from the next offset on. */
  beginEpoch(epoch: number | bigint): void {
    this.epochs.begin(Number(epoch), this.nextOffset);
  }

  /** The last offset of this leader epoch or an earlier one. */
  lastOffsetForEpoch(epoch: number | bigint): number {
    return this.epochs.lastOffset(Number(epoch), this.newestOffset);
  }

  /** The next messages for a follower that has everything before `from`, about `maxBytes` of them. */
  slice(from: number, maxBytes: number): LogSlice {
    this.requireOpen();
    return { ...this.segments.read(from, this.newestOffset, maxBytes), epochs: [...this.epochs.starts] };
  }

  /** Stores the messages of another replica unchanged, with their offsets, times and leader epochs. */
  appendSlice(slice: LogSlice): void {
    this.requireOpen();
    const epochs = new LeaderEpochs(slice.epochs);
    const now = this.#clock.nanos();
    for (const run of slice.frames) eachFrame(run, (frame) => this.#appendFrame(frame, epochs, now));
  }

  /** Drops every message from this offset on. The high watermark stays where it is, as in the server. */
  truncate(offset: number): void {
    this.requireOpen();
    if (offset >= this.nextOffset) return;
    this.#store.truncate(offset);
    this.#highWatermark.truncated(this.newestOffset);
  }

  /**
   * Runs the cleaner, as every `cleanerInterval`: rolls the active segment, or else applies retention and compaction.
   */
  clean(): void {
    this.requireOpen();
    this.#cleaner.clean(this.highWatermark);
  }

  /** Closes the log, as a pause does. Its listeners are notified; readers fail from now on. */
  close(): void {
    if (this.#state !== 'open') return;
    this.#attempt('checkpoint', () => this.#checkpoint());
    this.kill();
  }

  /** Closes the log without a checkpoint of the high watermark, as the end of the process does. */
  kill(): void {
    if (this.#state !== 'open') return;
    this.#stop();
    this.#attempt('close the files of', () => this.#storage?.close());
    this.#state = 'closed';
    this.#changes.tell('closed');
  }

  /** Moves the high watermark back to the last checkpoint: later messages are stored, but not known to be committed. */
  fallBackToCheckpoint(): void {
    this.#highWatermark.fallBack(this.newestOffset);
  }

  /** Opens the log again after `close`, with the same offsets. It is writable, even if it was readonly before. */
  reopen(): void {
    if (this.#state === 'deleted') throw new LogError('commit log was deleted');
    if (this.#state === 'open') return;
    this.#state = 'open';
    this.#readonly = false;
    this.#start();
    this.#changes.tell('reopened');
  }

  /** Deletes all messages for good, on disk too. */
  delete(): void {
    if (this.#state === 'deleted') return;
    this.#stop();
    this.#attempt('delete the files of', () => this.#store.delete());
    this.#state = 'deleted';
    this.#changes.tell('deleted');
  }

  /** Throws LogError `commit log was closed` or `commit log was deleted`. */
  requireOpen(): void {
    if (this.#state !== 'open') throw new LogError(`commit log was ${this.#state}`);
  }

  #start(): void {
    this.#cleaner.start();
    this.#highWatermark.start();
  }

  #stop(): void {
    this.#cleaner.stop();
    this.#highWatermark.stop();
  }

  #checkExpected(expected: bigint, next: number): void {
    if (!this.config.concurrencyControl || expected === -1n || expected === BigInt(next)) return;
    throw new IncorrectOffsetError(expected, next);
  }

  #add(frame: Buffer, offset: number, timestamp: bigint, size: number, epoch: number): void {
    this.#store.append(frame, offset, timestamp, size, epoch);
    this.#cleaner.want();
    this.#appends.tell(offset);
  }

  #appendFrame(frame: Buffer, epochs: LeaderEpochs, now: bigint): void {
    const offset = frameOffset(frame);
    if (offset < this.nextOffset) throw new LogError(`expected offset ${this.nextOffset} or more, got ${offset}`);
    this.#store.skipTo(offset);
    this.#store.rollIfDue(now);
    this.#add(frame, offset, frameTimestamp(frame), frameEntrySize(frame), epochs.epochOf(offset));
  }

  #checkpoint(): void {
    this.#highWatermark.checkpoint(this.nextOffset > 0);
  }

  /** For work without a caller, or that must complete: reports a disk that fails. */
  #attempt(what: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#onWarning(`failed to ${what} partition ${this.partition} of stream ${this.stream}: ${error}`);
    }
  }
}
