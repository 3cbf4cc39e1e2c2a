import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { DeserializationError } from '../../../src/errors.js';
import { ByteWriter } from '../../../src/protocol/byte-writer.js';
import { decodeMessage, encodeMessage, type MessageFields } from '../../../src/protocol/message.js';
import { type Message, ReceivedMessage } from '../../../src/protocol/received-message.js';
import { WireError } from '../../../src/protocol/wire-reader.js';

const FIELDS: MessageFields<Uint8Array | string> = {
  ...{ offset: 7n, key: null, value: '{"n":1}', timestamp: 5n, stream: 'orders', partition: 3, subject: 'orders.3' },
  ...{ replySubject: '', headers: null, ackInbox: '', correlationId: '', ackPolicy: 0 },
};

/** A message as a subscriber reads it, with bytes behind it that no broker writes. */
function received(fields: Partial<MessageFields<Uint8Array | string>>, behind: readonly number[] = []): Message {
  const writer = new ByteWriter();
  encodeMessage(writer, { ...FIELDS, ...fields });
  writer.raw(Uint8Array.from(behind));
  const source = writer.take();
  return decodeMessage(source, 0, source.length, new ReceivedMessage());
}

const thrownBy = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
};

describe('a value that is no JSON text', () => {
  it.each(['{', '', '\r\n\u0007"}'])('%j: is an error with the position of the message and the cause', (value) => {
    const error = thrownBy(() => received({ value }).json());
    expect(error).toBeInstanceOf(DeserializationError);
    expect(error).toMatchObject({
      code: 'DESERIALIZATION',
      stream: 'orders',
      partition: 3,
      offset: 7n,
      retryable: false,
    });
    expect((error as Error).cause).toBeInstanceOf(SyntaxError);
    expect((error as Error).message).toMatch(
      /^message of stream "orders", partition 3, offset 7: its value is no JSON text: /,
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not reach a log
    expect((error as Error).message).not.toMatch(/[\u0000-\u001f]/);
  });

  it('is cut where it is quoted', () => {
    const error = thrownBy(() => received({ value: 'x'.repeat(1_000_000) }).json());
    expect((error as Error).message.length).toBeLessThan(400);
  });
});

describe('headers that are damaged', () => {
  // The entry of a map whose name is longer than the entry.
  const damaged = () => received({}, [0x4a, 2, 0x0a, 9]);

  it('are an error with the position of the message and the cause, when they are read', () => {
    const message = damaged();
    expect(message.json()).toEqual({ n: 1 });
    const error = thrownBy(() => message.headers);
    expect(error).toBeInstanceOf(DeserializationError);
    expect(error).toMatchObject({ stream: 'orders', partition: 3, offset: 7n, cause: expect.any(WireError) });
  });

  it('do not keep the message from being shown in a log', () => {
    expect(inspect(damaged())).toContain('its headers are damaged');
  });
});
