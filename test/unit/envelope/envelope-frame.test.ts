import {
  ByteWriter,
  beginEnvelope,
  envelopeFault,
  readEnvelope,
  readMessageEnvelope,
} from 'liftbridge-client/protocol';
import { describe, expect, it } from 'vitest';
import { emptyMessage } from '../../../src/protocol/message.js';
import { bytes, type EnvelopeVector, vectors } from './vectors.js';

const accepted = (vector: EnvelopeVector) => readMessageEnvelope(bytes(vector), emptyMessage()) !== null;

describe('readMessageEnvelope', () => {
  const messages = [...vectors.publish, ...vectors.fullMessages, ...vectors.multiHeader];
  it.each(messages)('reads what the Go client wrote: $name', (vector) => {
    expect(accepted(vector)).toBe(true);
  });

  const judged = [...vectors.crc, ...vectors.oddButDecided, ...vectors.invalid];
  const asMessage = judged.filter((vector) => (vector.as ?? vector.kind) === 'message');
  it.each(asMessage)('judges as the Go server does: $name', (vector) => {
    expect(accepted(vector)).toBe(vector.server === 'ok');
  });

  it('answers null to a header that reaches beyond the data, which ends a real server', () => {
    expect(readMessageEnvelope(Buffer.from('b90e43b400fa00001a0161', 'hex'), emptyMessage())).toBeNull();
    expect(readMessageEnvelope(Buffer.from('b90e43b4000c0100', 'hex'), emptyMessage())).toBeNull();
  });

  it('takes the whole data for the payload when the header length is 0, as the server does', () => {
    // B9 0E is the tag of an unknown 64-bit field; it swallows the rest of the header and two bytes more.
    const data = Buffer.from('b90e43b4000000000000' + '1a0568656c6c6f', 'hex');
    expect(readMessageEnvelope(data, emptyMessage())?.value?.toString()).toBe('hello');
  });
});

describe('readEnvelope', () => {
  it('answers with where the payload starts', () => {
    expect(readEnvelope(Buffer.from('b90e43b400080001', 'hex'), 1)).toBe(8);
    expect(readEnvelope(Buffer.from('b90e43b4000c0001000000000a0161', 'hex'), 1)).toBe(12);
  });

  it('reads what beginEnvelope wrote', () => {
    const writer = new ByteWriter();
    beginEnvelope(writer, 1);
    const header = writer.take();
    expect(header.toString('hex')).toBe('b90e43b400080001');
    expect(envelopeFault(readEnvelope(header, 0))).toBe('wrong-type');
  });
});
