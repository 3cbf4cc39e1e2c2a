import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { frameEntrySize } from './entry-size.js';
import { OpenFiles } from './open-files.js';
import type { Segment } from './segment.js';
import {
  baseOffsetOf,
  decodeSegmentFile,
  encodeHeader,
  encodeRecordHeader,
  HEADER_BYTES,
  isSegmentFile,
  RECORD_BYTES,
  type StoredSegment,
  segmentFileName,
} from './segment-file.js';

const CHECKPOINT_FILE = 'high-watermark';
const TEMPORARY_SUFFIX = '.tmp';
const MAX_NAME_BYTES = 200;

export interface StorageOptions {
  /** Directory of the partition, created for the first message. */
  readonly directory: string;
  /** Shared by the partitions of a broker, to limit the number of open files. */
  readonly files?: OpenFiles;
  /** Receives a warning for each repaired damage. */
  readonly onWarning?: (message: string) => void;
}

/** The directory of a partition below the data directory of its broker, for any stream name. */
export function partitionDirectory(dataDir: string, stream: string, partition: number): string {
  const wellFormed = stream.replace(/\p{Surrogate}/gu, '\uFFFD');
  const escaped = encodeURIComponent(wellFormed).replace(/[.*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
  const digest = () => createHash('sha256').update(stream).digest('hex');
  // No escaped name begins with "%-", so it never equals a digest.
  return join(dataDir, escaped.length > MAX_NAME_BYTES ? `%-${digest()}` : escaped, String(partition));
}

/**
 * A partition on disk: a directory with a file for each segment (see segment-file.ts) and `high-watermark`, a decimal
 * number. Every append is one synchronous write, so acknowledged messages survive the end of the process at any point.
 * It is not flushed to the disk, so they may not survive a crash of the machine.
 */
export class PartitionStorage {
  readonly directory: string;
  readonly #files: OpenFiles;
  readonly #onWarning: (message: string) => void;
  /** The active file and its length. */
  #active = { path: '', length: 0 };
  #broken: unknown = null;

  constructor({ directory, files = new OpenFiles(), onWarning = () => {} }: StorageOptions) {
    this.directory = directory;
    this.#files = files;
    this.#onWarning = onWarning;
  }

  /** Reads the segments, oldest first, after removing damaged ends. */
  load(visit: (baseOffset: number, segment: StoredSegment) => void): void {
    const names = this.#names();
    for (const name of names.filter((name) => name.endsWith(TEMPORARY_SUFFIX))) rmSync(join(this.directory, name));
    const bases = names.map(baseOffsetOf).filter((base) => base !== null);
    for (const baseOffset of bases.sort((a, b) => a - b)) visit(baseOffset, this.#loadSegment(baseOffset));
  }

  /** The high watermark of the last checkpoint, -1 when there is none. */
  loadHighWatermark(): number {
    if (!this.#names().includes(CHECKPOINT_FILE)) return -1;
    const text = readFileSync(join(this.directory, CHECKPOINT_FILE), 'utf8');
    if (/^-?\d{1,16}\n$/.test(text)) return Number(text);
    this.#onWarning(
      `${join(this.directory, CHECKPOINT_FILE)} does not contain a number: all messages count as not committed`,
    );
    return -1;
  }

  /** Creates the file of a new segment, which becomes the active one. */
  roll(baseOffset: number, epoch: number): void {
    if (this.#active.path === '') mkdirSync(this.directory, { recursive: true });
    else this.#files.close(this.#active.path);
    const previous = this.#active;
    this.#active = { path: this.#path(baseOffset), length: 0 };
    try {
      this.#write([encodeHeader(baseOffset, epoch)]);
    } catch (error) {
      this.#active = previous;
      throw error;
    }
  }

  /** Appends a message to the active segment, and creates the first one. */
  append(active: Segment, frame: Uint8Array, epoch: number, size: number): void {
    // No earlier epoch wrote a stored message.
    if (this.#active.path === '') this.roll(active.baseOffset, 0);
    this.#write([encodeRecordHeader(frame, epoch, size), frame]);
  }

  /** Deletes the file of a segment. */
  remove(baseOffset: number): void {
    const path = this.#path(baseOffset);
    this.#files.close(path);
    rmSync(path, { force: true });
  }

  /** Replaces the file of a segment by its remaining messages. */
  rewrite(segment: Segment, epochOf: (offset: number) => number): void {
    const parts: Buffer[] = [encodeHeader(segment.baseOffset, epochOf(segment.baseOffset))];
    for (let index = 0; index < segment.count; index++) {
      const frame = segment.frameAt(index);
      parts.push(encodeRecordHeader(frame, epochOf(segment.offsetAt(index)), frameEntrySize(frame)), frame);
    }
    const path = this.#path(segment.baseOffset);
    this.#files.close(path);
    this.#replaceFile(path, Buffer.concat(parts));
  }

  /** Continues after the last entry of this segment: truncates its file there, or creates it. */
  activate(segment: Segment, epoch: number): void {
    const path = this.#path(segment.baseOffset);
    if (!existsSync(path)) {
      this.roll(segment.baseOffset, epoch);
      return;
    }
    const length = HEADER_BYTES + segment.count * RECORD_BYTES + segment.bytes;
    this.#files.close(this.#active.path);
    this.#files.close(path);
    truncateSync(path, length);
    this.#active = { path, length };
  }

  /** Refuses further writes, because the files no longer match the log. */
  refuse(cause: unknown): void {
    this.#broken = cause;
  }

  /** Writes the high watermark. */
  checkpoint(highWatermark: number): void {
    mkdirSync(this.directory, { recursive: true });
    this.#replaceFile(join(this.directory, CHECKPOINT_FILE), `${highWatermark}\n`);
  }

  /** Closes the open file; a later append opens it again. */
  close(): void {
    this.#files.close(this.#active.path);
  }

  /** Removes everything. */
  delete(): void {
    this.close();
    rmSync(this.directory, { recursive: true, force: true });
    this.#active = { path: '', length: 0 };
  }

  #names(): string[] {
    try {
      return readdirSync(this.directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  #path(baseOffset: number): string {
    return join(this.directory, segmentFileName(baseOffset));
  }

  #loadSegment(baseOffset: number): StoredSegment {
    const path = this.#path(baseOffset);
    const bytes = readFileSync(path);
    if (!isSegmentFile(bytes)) throw new Error(`${path} is not a segment file of this version`);
    const segment = decodeSegmentFile(bytes);
    const torn = bytes.length - segment.validBytes;
    if (torn > 0) {
      this.#onWarning(`cut ${torn} bytes off ${path}: they are not a complete record`);
      truncateSync(path, segment.validBytes);
    }
    if (segment.epoch === null) writeFileSync(path, encodeHeader(baseOffset, 0));
    this.#active = { path, length: Math.max(segment.validBytes, HEADER_BYTES) };
    return segment;
  }

  #write(parts: readonly Uint8Array[]): void {
    if (this.#broken !== null) {
      throw new Error(`${this.directory} accepts no more writes: an earlier change of its files failed`, {
        cause: this.#broken,
      });
    }
    const { path, length } = this.#active;
    const expected = parts.reduce((sum, part) => sum + part.length, 0);
    let written = 0;
    try {
      written = this.#files.append(path, parts);
    } finally {
      // A partial record must not precede the next one.
      if (written !== expected) this.#undo(path, length);
    }
    if (written !== expected) throw new Error(`wrote ${written} of ${expected} bytes to ${path}: is the disk full?`);
    this.#active.length += written;
  }

  #undo(path: string, length: number): void {
    this.#files.close(path);
    if (statSync(path, { throwIfNoEntry: false }) !== undefined) truncateSync(path, length);
  }

  #replaceFile(path: string, content: Buffer | string): void {
    writeFileSync(path + TEMPORARY_SUFFIX, content);
    renameSync(path + TEMPORARY_SUFFIX, path);
  }
}
