import fc from 'fast-check';
import {
  decodeAck,
  decodeMessage,
  EnvelopeError,
  encodeAck,
  encodeMessage,
  isEnvelope,
} from 'liftbridge-client/envelope';
import { readMessageEnvelope } from 'liftbridge-client/protocol';
import { describe, expect, it } from 'vitest';
import { Ack as GeneratedAck, Message as GeneratedMessage } from '../../../src/protocol/generated/api.js';
import { emptyMessage } from '../../../src/protocol/message.js';

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
// Protobuf text is UTF-8: a lone surrogate has no encoding.
const text = fc.string({ unit: 'grapheme', maxLength: 40, size: 'max' });
const bytes = fc.uint8Array({ maxLength: 200, size: 'max' }).map((value) => Buffer.from(value));
const policy = fc.constantFrom('leader', 'all', 'none');

const options = fc.record({
  key: fc.option(bytes),
  headers: fc.dictionary(text, bytes, { maxKeys: 6, noNullPrototype: false }),
  ackInbox: text,
  correlationId: text,
  ackPolicy: policy,
  expectedOffset: int64,
  checksum: fc.boolean(),
});

const ack = fc.record({
  stream: text,
  partitionSubject: text,
  messageSubject: text,
  offset: int64,
  ackInbox: text,
  correlationId: text,
  ackPolicy: policy,
  receptionTimestamp: int64,
  commitTimestamp: int64,
  error: fc.constantFrom('ok', 'unknown', 'incorrect-offset', 'too-large', 'encryption'),
});

/** Empty and absent are one in protobuf. */
const present = (value: Buffer | null): Buffer | null => (value === null || value.length === 0 ? null : value);
const payload = (envelope: Buffer): Buffer => envelope.subarray(envelope[5]);

describe('encodeMessage', () => {
  it('writes what decodeMessage reads back, for any message', () => {
    fc.assert(
      fc.property(fc.option(bytes), options, (value, given) => {
        const message = decodeMessage(encodeMessage(value, given));
        expect({ key: message.key, value: message.value, offset: message.offset }).toEqual({
          ...{ key: present(given.key), value: present(value), offset: given.expectedOffset },
        });
        expect({ ...message.headers }).toEqual({ ...given.headers });
        expect([message.ackInbox, message.correlationId, message.ackPolicy]).toEqual([
          ...[given.ackInbox, given.correlationId, given.ackPolicy],
        ]);
      }),
    );
  });

  it('writes what the generated codec reads, and reads what it writes', () => {
    fc.assert(
      fc.property(fc.option(bytes), options, (value, given) => {
        const envelope = encodeMessage(value, given);
        const generated = GeneratedMessage.decode(payload(envelope));
        expect(Buffer.from(generated.value)).toEqual(value ?? Buffer.alloc(0));
        expect([generated.offset, generated.ackInbox, generated.correlationId]).toEqual([
          ...[given.expectedOffset, given.ackInbox, given.correlationId],
        ]);
        const again = decodeMessage(Buffer.concat([header(0), GeneratedMessage.encode(generated).finish()]));
        expect(again.toString()).toBe(decodeMessage(envelope).toString());
        expect({ ...again.headers }).toEqual({ ...given.headers });
      }),
    );
  });
});

describe('encodeAck', () => {
  it('writes what decodeAck and the generated codec read back, for any ack', () => {
    fc.assert(
      fc.property(ack, (given) => {
        const envelope = encodeAck(given);
        expect(decodeAck(envelope)).toEqual({ ...given, partition: expect.any(Number) });
        const again = GeneratedAck.encode(GeneratedAck.decode(payload(envelope))).finish();
        expect(Buffer.from(again).equals(payload(envelope))).toBe(true);
      }),
    );
  });
});

function header(type: number): Buffer {
  return Buffer.from([0xb9, 0x0e, 0x43, 0xb4, 0, 8, 0, type]);
}

describe('decodeMessage and decodeAck', () => {
  it('throw only EnvelopeError for any bytes, and accept the envelopes that a server accepts', () => {
    const outcome = fuzz(500_000, 0x5eed);
    expect(outcome.strangers).toEqual([]);
    expect(outcome.messages).toBe(outcome.stored);
    // Both ways must have been walked, or the inputs prove nothing.
    expect(outcome.decoded).toBeGreaterThan(50_000);
    expect(outcome.refused).toBeGreaterThan(50_000);
    expect([...outcome.reasons].sort()).toEqual([
      ...['bad-header-length', 'bad-magic', 'checksum', 'payload', 'too-short', 'unknown-version', 'wrong-type'],
    ]);
  });
});

interface FuzzOutcome {
  decoded: number;
  /** Messages that were decoded, and those that a server would have stored as such. */
  messages: number;
  stored: number;
  refused: number;
  readonly reasons: Set<string>;
  readonly strangers: unknown[];
}

/** Cuts, flips and overwrites sound envelopes; a stack trace for each of some hundred thousand errors takes minutes. */
function fuzz(rounds: number, seed: number): FuzzOutcome {
  const outcome: FuzzOutcome = { decoded: 0, messages: 0, stored: 0, refused: 0, reasons: new Set(), strangers: [] };
  const depth = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    const next = randomNumbers(seed);
    for (let round = 0; round < rounds; round++) attempt(mutant(next), round % 2 === 0, outcome);
  } finally {
    Error.stackTraceLimit = depth;
  }
  return outcome;
}

function attempt(data: Buffer, asMessage: boolean, outcome: FuzzOutcome): void {
  try {
    isEnvelope(data);
    if (asMessage) {
      const stored = readMessageEnvelope(data, emptyMessage()) !== null;
      if (stored) outcome.stored++;
      void decodeMessage(data).headers;
      outcome.messages++;
    } else decodeAck(data);
    outcome.decoded++;
  } catch (error) {
    outcome.refused++;
    if (error instanceof EnvelopeError) outcome.reasons.add(error.reason);
    else if (outcome.strangers.length < 10) outcome.strangers.push([data.toString('hex'), error]);
  }
}

const seeds = [
  encodeMessage('hello', {
    key: 'k',
    headers: { a: 'b', c: '' },
    ackInbox: 'in',
    correlationId: '1',
    ackPolicy: 'all',
  }),
  encodeMessage('hello', { checksum: true }),
  encodeMessage(null, { expectedOffset: 0 }),
  encodeAck({
    stream: 's',
    partitionSubject: 'p',
    messageSubject: 'm',
    offset: 9n,
    commitTimestamp: 1n,
    error: 'unknown',
  }),
  Buffer.from('b90e43b40008000014131a0161149a0600', 'hex'),
];
const room = Buffer.alloc(256);

function mutant(next: (below: number) => number): Buffer {
  const seed = seeds[next(seeds.length)]!;
  const length = next(4) === 0 ? next(seed.length + 1) : seed.length;
  seed.copy(room, 0, 0, length);
  // The header is spared most of the time: otherwise few inputs would reach the payload.
  const from = next(4) === 0 ? 0 : Math.min(8, length);
  if (length > from) {
    for (let changes = next(4); changes > 0; changes--) room[from + next(length - from)] = next(256);
  }
  return room.subarray(0, length);
}

/** xorshift32: the same numbers on every run, so that a failure can be looked at. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
