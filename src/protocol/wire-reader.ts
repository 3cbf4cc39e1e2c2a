import { isUtf8 } from 'node:buffer';

const wide = new BigInt64Array(1);
const half = new Uint32Array(wide.buffer);
const [LOW, HIGH] = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? [0, 1] : [1, 0];
const DEEPEST_GROUP = 100;

/** Bytes that are not a protobuf message. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

/** Reads protobuf fields out of a part of a buffer. One reader serves any number of messages, one after the other. */
export class WireReader {
  source: Buffer = Buffer.alloc(0);
  position = 0;
  end = 0;
  #high = 0;

  /** Starts on the bytes from `start` up to `end`. */
  open(source: Buffer, start: number, end: number): void {
    this.source = source;
    this.position = start;
    this.end = end;
  }

  /** The next tag (field number times 8 plus wire type), 0 at the end. */
  tag(): number {
    if (this.position >= this.end) return 0;
    const tag = this.varint();
    if (this.#high !== 0 || tag >>> 3 === 0) throw new WireError('invalid field number');
    return tag;
  }

  /** A varint, of which the low 32 bits are answered, unsigned. */
  varint(): number {
    const { source } = this;
    let position = this.position;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (position >= this.end) throw new WireError('truncated varint');
      const byte = source[position++]!;
      if (shift < 28) low |= (byte & 0x7f) << shift;
      else if (shift === 28) {
        low |= (byte & 0x0f) << 28;
        high = (byte & 0x7f) >>> 4;
      } else high |= (byte & 0x7f) << (shift - 32);
      if (byte < 0x80) {
        if (shift === 63 && byte > 1) throw new WireError('varint too long');
        this.position = position;
        this.#high = high;
        return low >>> 0;
      }
    }
    throw new WireError('varint too long');
  }

  int32(): number {
    return this.varint() | 0;
  }

  int64(): bigint {
    half[LOW] = this.varint();
    half[HIGH] = this.#high;
    return wide[0]!;
  }

  /** A length, checked against what is there. */
  length(): number {
    const size = this.varint();
    if (this.#high !== 0 || size > this.end - this.position) throw new WireError('truncated field');
    return size;
  }

  /** A view of the bytes of a field, not a copy. */
  bytes(): Buffer {
    const size = this.length();
    const start = this.position;
    this.position = start + size;
    return this.source.subarray(start, start + size);
  }

  /** Text; what is not UTF-8 is an error when `strict`, and replaced by U+FFFD otherwise. */
  string(strict = false, known?: TextSource): string {
    const size = this.length();
    const start = this.position;
    this.position = start + size;
    if (size === 0) return '';
    const found = known?.match(this.source, start, size);
    if (found !== undefined) return found;
    if (strict) this.#checkText(start, size);
    const text = this.source.toString('utf8', start, start + size);
    // A replaced byte must not pass as known text when somebody reads strictly.
    if (known?.keep !== undefined && !text.includes('\ufffd')) known.keep(this.source, start, size, text);
    return text;
  }

  /** Passes over text; what is not UTF-8 is an error. */
  skipText(): void {
    const size = this.length();
    const start = this.position;
    this.position = start + size;
    this.#checkText(start, size);
  }

  #checkText(start: number, size: number): void {
    if (size <= SHORT_TEXT && isAscii(this.source, start, start + size)) return;
    if (!isUtf8(this.source.subarray(start, start + size))) throw new WireError('string field contains invalid UTF-8');
  }

  /** Skips the value of an unknown field. */
  skip(tag: number, depth = 0): void {
    switch (tag & 7) {
      case 0:
        this.varint();
        break;
      case 1:
        this.#advance(8);
        break;
      case 2:
        this.#advance(this.length());
        break;
      case 3:
        this.#skipGroup(tag >>> 3, depth);
        break;
      case 5:
        this.#advance(4);
        break;
      default:
        throw new WireError(`invalid wire type ${tag & 7}`);
    }
  }

  #advance(size: number): void {
    if (size > this.end - this.position) throw new WireError('truncated field');
    this.position += size;
  }

  #skipGroup(field: number, depth: number): void {
    if (depth >= DEEPEST_GROUP) throw new WireError('groups nested too deeply');
    for (;;) {
      const tag = this.tag();
      if (tag === 0) throw new WireError('group without end');
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== field) throw new WireError('mismatched end of group');
        return;
      }
      this.skip(tag, depth + 1);
    }
  }
}

/** Up to here looking at the bytes one by one is cheaper than a view of them and a call out of JavaScript. */
const SHORT_TEXT = 64;

function isAscii(source: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (source[i]! > 0x7f) return false;
  }
  return true;
}

/** Knows some texts by their bytes, so that they need not be decoded. */
export interface TextSource {
  /** The text that these bytes are, or undefined. */
  match(source: Buffer, start: number, size: number): string | undefined;
  /** Told of a text that was decoded because it was not known. */
  keep?(source: Buffer, start: number, size: number, text: string): void;
}

const LONGEST_RECENT = 64;

/**
 * The text that a field held last. Stream names and subjects repeat from message to message: comparing the bytes is
 * cheaper than decoding them, and every message then shares one string.
 */
export class RecentText implements TextSource {
  #bytes: Uint8Array = new Uint8Array(LONGEST_RECENT);
  #size = 0;
  #text = '';

  match(source: Buffer, start: number, size: number): string | undefined {
    if (size !== this.#size) return undefined;
    const bytes = this.#bytes;
    for (let i = size - 1; i >= 0; i--) {
      if (source[start + i] !== bytes[i]) return undefined;
    }
    return this.#text;
  }

  keep(source: Buffer, start: number, size: number, text: string): void {
    if (size > LONGEST_RECENT) return;
    this.#bytes.set(source.subarray(start, start + size));
    this.#size = size;
    this.#text = text;
  }
}
