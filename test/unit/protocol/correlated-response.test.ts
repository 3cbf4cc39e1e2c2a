import { describe, expect, it } from 'vitest';
import { PublishResponse } from '../../../src/protocol/generated/api.js';
import { decodeCorrelatedResponse, type EntrySource } from '../../../src/protocol/publish-response.js';

interface Entry {
  readonly correlationId: string;
}

const ENTRIES: readonly Entry[] = [{ correlationId: 'one' }, { correlationId: 'two' }];
const SOURCE: EntrySource<Entry> = {
  find: (source, start, size) => {
    const id = source.toString('utf8', start, start + size);
    return ENTRIES.find(({ correlationId }) => correlationId === id) ?? null;
  },
  match: (source, start, size) => SOURCE.find(source, start, size)?.correlationId,
};

function decode(response: Parameters<typeof PublishResponse.fromPartial>[0]) {
  const bytes = Buffer.from(PublishResponse.encode(PublishResponse.fromPartial(response)).finish());
  return decodeCorrelatedResponse(bytes, 0, bytes.length, SOURCE);
}

describe('decodeCorrelatedResponse', () => {
  it('finds the entry of the correlation id of the response', () => {
    const response = decode({ ack: { correlationId: 'two', offset: 7n } as never, correlationId: 'two' });
    expect(response).toMatchObject({ kind: 'response', pending: ENTRIES[1], correlationId: 'two' });
    expect(response.ack).toMatchObject({ correlationId: 'two', offset: 7n });
  });

  it('prefers the id of the response to that of its ack', () => {
    expect(decode({ ack: { correlationId: 'one' } as never, correlationId: 'two' }).pending).toBe(ENTRIES[1]);
    expect(decode({ ack: { correlationId: 'one' } as never, correlationId: 'other' }).pending).toBeNull();
  });

  it('takes the id of the ack when the response has none', () => {
    expect(decode({ ack: { correlationId: 'one' } as never }).pending).toBe(ENTRIES[0]);
  });

  it('decodes an id that no entry has', () => {
    const response = decode({ asyncError: { code: 1, message: 'no' }, correlationId: 'grün' });
    expect(response).toMatchObject({ pending: null, correlationId: 'grün', asyncError: { code: 1, message: 'no' } });
    expect(decode({})).toMatchObject({ pending: null, correlationId: '' });
  });
});
