import { ProtocolError } from './protocol-error.js';
import { recognize, type Verb } from './verbs.js';

/** Handles the commands of a client; each method may throw ProtocolError to end the connection. */
export interface ClientCommands {
  /** `options` is the JSON text of CONNECT. */
  connect(options: string): void;
  ping(): void;
  pong(): void;
  /** The line of PUB or HPUB has arrived, its payload possibly not yet. `size` includes the headers. */
  announce(subject: string, size: number, withHeaders: boolean): void;
  /** `headers` is undefined for PUB and for HPUB with a header block of length 0. */
  publish(subject: string, reply: string, headers: Buffer | undefined, data: Buffer): void;
  subscribe(subject: string, queue: string, sid: string): void;
  /** `max` is the number of messages after which the subscription ends, 0 or less for now. */
  unsubscribe(sid: string, max: number): void;
}

interface Publication {
  readonly subject: string;
  readonly reply: string;
  readonly headerSize: number;
  readonly size: number;
}

const MAX_CONTROL_LINE = 4096;
const MAX_DIGITS = 9;
const MAX_WORDS = 6;
const NO_BYTES = Buffer.alloc(0);
const CR = 0x0d;
const LF = 0x0a;

/**
 * Parses the bytes of a NATS client, in chunks of any size, and calls the commands in order. A payload inside one chunk
 * is passed on as a view of it.
 */
export class ClientParser {
  readonly #commands: ClientCommands;
  /** The beginning of an incomplete line. */
  #line: Buffer = NO_BYTES;
  #publication: Publication | null = null;
  /** The payload and line end of `#publication` when they arrive in pieces. */
  #payload: Buffer | null = null;
  #filled = 0;
  readonly #words = new Int32Array(2 * MAX_WORDS);
  #subjectBytes: Buffer = NO_BYTES;
  #subject = '';

  constructor(commands: ClientCommands) {
    this.#commands = commands;
  }

  /** Parses the next bytes; throws ProtocolError to end the connection. */
  push(chunk: Buffer): void {
    let position = 0;
    while (position < chunk.length) {
      if (this.#publication) position = this.#readPayload(chunk, position, this.#publication);
      else position = this.#readLine(chunk, position);
    }
  }

  #readLine(chunk: Buffer, position: number): number {
    const end = chunk.indexOf(LF, position);
    if (end < 0) {
      this.#keep(chunk.subarray(position));
      return chunk.length;
    }
    if (this.#line.length === 0) {
      this.#command(chunk, position, end);
    } else {
      const line = Buffer.concat([this.#line, chunk.subarray(position, end)]);
      this.#line = NO_BYTES;
      this.#command(line, 0, line.length);
    }
    return end + 1;
  }

  /** Stores an incomplete line, after the checks that the server makes byte by byte. */
  #keep(rest: Buffer): void {
    const line = this.#line.length === 0 ? Buffer.from(rest) : Buffer.concat([this.#line, rest]);
    const verb = recognize(line, 0, line.length);
    if (verb === 'unknown') throw new ProtocolError('Unknown Protocol Operation');
    if (verb === 'PING' || verb === 'PONG' || verb === '+OK') {
      // The rest of their line is skipped, at any length.
      this.#line = line.subarray(0, verb.length);
      return;
    }
    if (verb === 'partial') {
      this.#line = line;
      return;
    }
    const from = argumentsStart(line, verb.length, line.length);
    checkLength(from, line.length);
    // A line of blanks is stored as one blank.
    this.#line = from === line.length ? line.subarray(0, verb.length + 1) : line;
  }

  #command(bytes: Buffer, start: number, newline: number): void {
    const verb = recognize(bytes, start, newline);
    if (verb === 'unknown' || verb === 'partial') throw new ProtocolError('Unknown Protocol Operation');
    if (verb === 'PING') this.#commands.ping();
    else if (verb === 'PONG') this.#commands.pong();
    else if (verb !== '+OK') this.#withArguments(verb, bytes, start, newline);
  }

  #withArguments(verb: Verb, bytes: Buffer, start: number, newline: number): void {
    const from = argumentsStart(bytes, start + verb.length, newline);
    const to = newline > from && bytes[newline - 1] === CR ? newline - 1 : newline;
    checkLength(from, to);
    if (verb === 'PUB') this.#beginPub(bytes, this.#split(bytes, from, to));
    else if (verb === 'HPUB') this.#beginHpub(bytes, this.#split(bytes, from, to));
    else if (verb === 'SUB') this.#sub(bytes, this.#split(bytes, from, to));
    else if (verb === 'UNSUB') this.#unsub(bytes, this.#split(bytes, from, to));
    else if (verb === 'CONNECT') this.#commands.connect(bytes.toString('utf8', from, to));
    else if (verb === '-ERR') throw new ProtocolError(null);
    // Only INFO is left: servers send it to each other, and from a client it has no effect.
  }

  /** Records the positions of the words and returns their number; a line with too many counts as MAX_WORDS. */
  #split(bytes: Buffer, from: number, to: number): number {
    const words = this.#words;
    let count = 0;
    let position = from;
    while (count < MAX_WORDS) {
      while (position < to && isBlank(bytes[position]!)) position++;
      if (position >= to) return count;
      words[2 * count] = position;
      while (position < to && !isBlank(bytes[position]!)) position++;
      words[2 * count + 1] = position;
      count++;
    }
    return count;
  }

  #word(bytes: Buffer, index: number): string {
    return bytes.toString('utf8', this.#words[2 * index], this.#words[2 * index + 1]);
  }

  /** The first word. Publishers use few subjects, so the last one is compared before anything is decoded. */
  #subjectWord(bytes: Buffer): string {
    const from = this.#words[0]!;
    const to = this.#words[1]!;
    const known = this.#subjectBytes;
    let index = known.length === to - from ? 0 : -1;
    while (index >= 0 && index < known.length) index = known[index] === bytes[from + index] ? index + 1 : -1;
    if (index < 0) {
      this.#subjectBytes = Buffer.from(bytes.subarray(from, to));
      this.#subject = this.#subjectBytes.toString('utf8');
    }
    return this.#subject;
  }

  #number(bytes: Buffer, index: number): number {
    return parseSize(bytes, this.#words[2 * index]!, this.#words[2 * index + 1]!);
  }

  #beginPub(bytes: Buffer, count: number): void {
    if (count !== 2 && count !== 3) throw new ProtocolError(null);
    const size = this.#number(bytes, count - 1);
    if (size < 0) throw new ProtocolError(null);
    this.#begin({
      subject: this.#subjectWord(bytes),
      reply: count === 3 ? this.#word(bytes, 1) : '',
      headerSize: -1,
      size,
    });
  }

  #beginHpub(bytes: Buffer, count: number): void {
    if (count !== 3 && count !== 4) throw new ProtocolError(null);
    const headerSize = this.#number(bytes, count - 2);
    const size = this.#number(bytes, count - 1);
    if (headerSize < 0 || size < headerSize) throw new ProtocolError(null);
    this.#begin({
      subject: this.#subjectWord(bytes),
      reply: count === 4 ? this.#word(bytes, 1) : '',
      headerSize,
      size,
    });
  }

  #begin(publication: Publication): void {
    this.#commands.announce(publication.subject, publication.size, publication.headerSize >= 0);
    this.#publication = publication;
  }

  #sub(bytes: Buffer, count: number): void {
    if (count !== 2 && count !== 3) throw new ProtocolError(null);
    this.#commands.subscribe(
      this.#word(bytes, 0),
      count === 3 ? this.#word(bytes, 1) : '',
      this.#word(bytes, count - 1),
    );
  }

  #unsub(bytes: Buffer, count: number): void {
    if (count !== 1 && count !== 2) throw new ProtocolError(null);
    this.#commands.unsubscribe(this.#word(bytes, 0), count === 2 ? this.#number(bytes, 1) : 0);
  }

  #readPayload(chunk: Buffer, position: number, publication: Publication): number {
    const length = publication.size + 2;
    if (!this.#payload) {
      if (chunk.length - position >= length) {
        this.#finish(publication, chunk, position);
        return position + length;
      }
      this.#payload = Buffer.allocUnsafeSlow(length);
      this.#filled = 0;
    }
    const taken = chunk.copy(this.#payload, this.#filled, position);
    this.#filled += taken;
    if (this.#filled > publication.size) checkEnd(this.#payload, publication.size, this.#filled);
    if (this.#filled === length) this.#finish(publication, this.#payload, 0);
    return position + taken;
  }

  #finish({ subject, reply, headerSize, size }: Publication, bytes: Buffer, start: number): void {
    checkEnd(bytes, start + size, start + size + 2);
    this.#publication = null;
    this.#payload = null;
    const end = start + size;
    if (headerSize <= 0) this.#commands.publish(subject, reply, undefined, bytes.subarray(start, end));
    else {
      const body = start + headerSize;
      this.#commands.publish(subject, reply, bytes.subarray(start, body), bytes.subarray(body, end));
    }
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

function argumentsStart(bytes: Buffer, position: number, end: number): number {
  let from = position;
  while (from < end && isBlank(bytes[from]!)) from++;
  return from;
}

function checkLength(from: number, to: number): void {
  if (to - from > MAX_CONTROL_LINE) throw new ProtocolError('maximum control line exceeded');
}

/** The number in the bytes, -1 for anything else and for more digits than the server reads. */
function parseSize(bytes: Buffer, from: number, to: number): number {
  if (to === from || to - from > MAX_DIGITS) return -1;
  let value = 0;
  for (let position = from; position < to; position++) {
    const digit = bytes[position]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** Checks the received part of the line end behind a payload. */
function checkEnd(bytes: Buffer, position: number, end: number): void {
  if (bytes[position] !== CR || (end > position + 1 && bytes[position + 1] !== LF)) {
    throw new ProtocolError('Unknown Protocol Operation');
  }
}
