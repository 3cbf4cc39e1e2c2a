import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { LoggedOperation, OperationStore } from './operation-log.js';

const CHECKSUM = 8;

/**
 * The operations of a cluster in a file, one a line: a CRC-32 in hexadecimal, a space, and JSON in which a bigint is
 * written as `"123n"` and text starts with a colon. A line is written with one call before its operation takes effect,
 * so that a crash at any point leaves at most a partial last line.
 */
export class OperationFile implements OperationStore {
  readonly #file: number;
  #length: number;

  /** Opens or creates the file and calls back with each stored operation. Cuts a partial last line off. */
  constructor(path: string, visit: (entry: LoggedOperation) => void, warn: (message: string) => void) {
    const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    this.#length = readLines(bytes, visit);
    this.#file = openSync(path, bytes.length === 0 ? 'w' : 'r+');
    if (this.#length === bytes.length) return;
    warn(`cut ${bytes.length - this.#length} bytes off ${path}: they are not a complete operation`);
    ftruncateSync(this.#file, this.#length);
  }

  append(entry: LoggedOperation): void {
    const line = encodeLine(entry);
    const written = writeSync(this.#file, line, 0, line.length, this.#length);
    if (written !== line.length) {
      ftruncateSync(this.#file, this.#length);
      throw new Error(`wrote ${written} of ${line.length} bytes of an operation: is the disk full?`);
    }
    this.#length += written;
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Returns the number of bytes in complete lines. */
function readLines(bytes: Buffer, visit: (entry: LoggedOperation) => void): number {
  let start = 0;
  for (let end = bytes.indexOf(10, start); end !== -1; end = bytes.indexOf(10, start)) {
    const entry = decodeLine(bytes.subarray(start, end));
    if (entry === null) return start;
    visit(entry);
    start = end + 1;
  }
  return start;
}

function encodeLine(entry: LoggedOperation): Buffer {
  const json = JSON.stringify(entry, (_key, value: unknown) => escapeValue(value));
  return Buffer.from(`${checksum(json)} ${json}\n`);
}

function decodeLine(line: Buffer): LoggedOperation | null {
  const json = line.subarray(CHECKSUM + 1);
  if (line.toString('latin1', 0, CHECKSUM) !== checksum(json)) return null;
  return JSON.parse(json.toString(), (_key, value: unknown) => unescapeValue(value)) as LoggedOperation;
}

/** Text that begins with a colon is text; other text is a bigint. */
function escapeValue(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  return typeof value === 'string' ? `:${value}` : value;
}

function unescapeValue(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return value.startsWith(':') ? value.slice(1) : BigInt(value.slice(0, -1));
}

function checksum(json: string | Buffer): string {
  return crc32(json).toString(16).padStart(CHECKSUM, '0');
}
