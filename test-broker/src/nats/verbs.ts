/** A command of the NATS client protocol. */
export type Verb = 'PUB' | 'HPUB' | 'SUB' | 'UNSUB' | 'CONNECT' | 'PING' | 'PONG' | 'INFO' | '+OK' | '-ERR';

/** The start of a line: a command, possibly one when more bytes arrive, or nothing that NATS knows. */
export type Recognized = Verb | 'partial' | 'unknown';

interface Word {
  readonly verb: Verb;
  readonly bytes: Uint8Array;
  /** Whether a blank has to follow; after the other commands the server accepts any byte. */
  readonly blank: boolean;
}

const word = (verb: Verb, blank: boolean): Word => ({ verb, bytes: Buffer.from(verb), blank });

const PUB = word('PUB', true);
const HPUB = word('HPUB', true);
const SUB = word('SUB', true);
const UNSUB = word('UNSUB', true);
const CONNECT = word('CONNECT', false);
const PING = word('PING', false);
const PONG = word('PONG', false);
const INFO = word('INFO', false);
const OK = word('+OK', false);
const ERR = word('-ERR', true);

/** Reads the command at `start`, in either case; `end` is the end of the line, or of its received part. */
export function recognize(bytes: Buffer, start: number, end: number): Recognized {
  if (start >= end) return 'partial';
  const candidate = candidateFor(bytes, start, end);
  return candidate === null || candidate === 'partial' ? (candidate ?? 'unknown') : read(candidate, bytes, start, end);
}

function candidateFor(bytes: Buffer, start: number, end: number): Word | 'partial' | null {
  switch (upper(bytes[start]!)) {
    case 0x50: // P
      if (start + 1 >= end) return 'partial';
      return afterP(upper(bytes[start + 1]!));
    case 0x48: // H
      return HPUB;
    case 0x53: // S
      return SUB;
    case 0x55: // U
      return UNSUB;
    case 0x43: // C
      return CONNECT;
    case 0x49: // I
      return INFO;
    case 0x2b: // +
      return OK;
    case 0x2d: // -
      return ERR;
    default:
      return null;
  }
}

function afterP(second: number): Word | null {
  if (second === 0x55) return PUB;
  if (second === 0x49) return PING;
  return second === 0x4f ? PONG : null;
}

function read({ verb, bytes: wanted, blank }: Word, bytes: Buffer, start: number, end: number): Recognized {
  const given = Math.min(wanted.length, end - start);
  for (let index = 0; index < given; index++) {
    if (upper(bytes[start + index]!) !== wanted[index]) return 'unknown';
  }
  if (given < wanted.length) return 'partial';
  if (!blank) return verb;
  if (start + given === end) return 'partial';
  const next = bytes[start + given];
  return next === 0x20 || next === 0x09 ? verb : 'unknown';
}

function upper(byte: number): number {
  return byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
}
