import { wire } from 'liftbridge-client/protocol';
import { beforeAll, describe, expect, it } from 'vitest';
import { shareBroker } from '../broker-fixture.js';
import type { ApiClient, CallEnd } from './api-client.js';

const { NEW_ONLY, OFFSET, EARLIEST, LATEST, TIMESTAMP } = wire.StartPosition;
const { STOP_OFFSET, STOP_LATEST, STOP_TIMESTAMP } = wire.StopPosition;

type Request = Partial<wire.SubscribeRequest>;

let api: ApiClient;
const times: bigint[] = [];

beforeAll(async () => {
  ({ api } = await shareBroker());
  for (const stream of ['ten', 'empty', 'readonly', 'readonly-empty']) await api.createStream(stream);
  const digits = Array.from('0123456789');
  for (const ack of await api.publish('ten', digits)) times.push(ack.receptionTimestamp);
  await api.publish('readonly', digits);
  for (const name of ['readonly', 'readonly-empty']) await api.call('SetStreamReadonly', { name, readonly: true });
});

const exhausted = (message: string) => ({ status: 'RESOURCE_EXHAUSTED', message });
const STOPPED = exhausted('Stop offset reached');
const END_OF_READONLY = exhausted('End of readonly partition');
const EOF = { status: 'UNKNOWN', message: 'EOF' };
const beforeStart = (what: string) => ({
  status: 'INVALID_ARGUMENT',
  message: `Stop offset is before start offset: ${what}`,
});
const lookup = (message: string) => ({
  status: 'INTERNAL',
  message: `Failed to lookup offset for timestamp: ${message}`,
});

/** The offsets of the messages after the first one, which confirms the subscription, and the end. */
async function read(request: Request): Promise<{ live: boolean; offsets: number[]; end: CallEnd }> {
  const { messages, end } = await api.subscribe(request).all();
  const [first, ...rest] = messages;
  if (first) expect(wire.Message.encode(first).finish()).toHaveLength(0);
  return { live: first !== undefined, offsets: rest.map(({ offset }) => Number(offset)), end };
}

/** Rejected before the subscription is accepted. */
async function expectRefused(request: Request, end: CallEnd): Promise<void> {
  expect(await read(request)).toEqual({ live: false, offsets: [], end });
}

const from = (first: number, last: number) =>
  Array.from({ length: Math.abs(last - first) + 1 }, (_, i) => (last < first ? first - i : first + i));

describe('Subscribe', () => {
  it.each([
    ['an unknown stream', { stream: 'nope' }],
    ['a stream without a name', { stream: '' }],
    ['an unknown partition', { stream: 'ten', partition: 1 }],
    ['a negative partition', { stream: 'ten', partition: -1 }],
  ])('fails with NOT_FOUND for %s', async (_, request) => {
    await expectRefused(request, { status: 'NOT_FOUND', message: 'No such partition' });
  });

  it('checks the consumer before the stream', async () => {
    const consumer = { groupId: 'g', groupEpoch: 0n, consumerId: '' };
    const message = 'Consumer id cannot be empty when group id is provided';
    await expectRefused({ stream: 'nope', consumer }, { status: 'INVALID_ARGUMENT', message });
  });

  it('rejects unknown positions, and checks the start first', async () => {
    const unknown = (message: string) => ({ status: 'INVALID_ARGUMENT', message });
    const startPosition = 9 as wire.StartPosition;
    const stopPosition = 9 as wire.StopPosition;
    await expectRefused(
      { stream: 'empty', startPosition, stopPosition: STOP_LATEST },
      unknown('Unknown StartPosition 9'),
    );
    await expectRefused({ stream: 'ten', stopPosition }, unknown('Unknown StopPosition 9'));
  });

  const startsAt: [string, () => Request, number][] = [
    ['EARLIEST', () => ({ startPosition: EARLIEST }), 0],
    ['OFFSET -5', () => ({ startPosition: OFFSET, startOffset: -5n }), 0],
    ['OFFSET 4', () => ({ startPosition: OFFSET, startOffset: 4n }), 4],
    ['LATEST', () => ({ startPosition: LATEST }), 9],
    ['TIMESTAMP 0', () => ({ startPosition: TIMESTAMP }), 0],
    ['TIMESTAMP -1', () => ({ startPosition: TIMESTAMP, startTimestamp: -1n }), 0],
    ['TIMESTAMP ts(3)', () => ({ startPosition: TIMESTAMP, startTimestamp: times[3]! }), 3],
    ['TIMESTAMP ts(3) - 1', () => ({ startPosition: TIMESTAMP, startTimestamp: times[3]! - 1n }), 3],
    ['TIMESTAMP ts(3) + 1', () => ({ startPosition: TIMESTAMP, startTimestamp: times[3]! + 1n }), 4],
  ];
  it.each(startsAt)('begins at %s', async (_, request, first) => {
    const expected = { live: true, offsets: from(first, 9), end: STOPPED };
    expect(await read({ stream: 'ten', stopPosition: STOP_LATEST, ...request() })).toEqual(expected);
  });

  it.each([
    ['OFFSET 50', { startPosition: OFFSET, startOffset: 50n }],
    ['OFFSET beyond 2^53', { startPosition: OFFSET, startOffset: 2n ** 62n }],
    ['NEW_ONLY', { startPosition: NEW_ONLY }],
    ['TIMESTAMP in the future', { startPosition: TIMESTAMP, startTimestamp: 2n ** 62n }],
  ])('waits for the next committed message at %s', async (name, request) => {
    const stream = `beyond-${name.replaceAll(' ', '-')}`;
    await api.createStream(stream);
    await api.publish(stream, ['a', 'b', 'c']);
    const messages = api.subscribe({ stream, ...request });
    await messages.next();
    await api.publish(stream, ['d', 'e']);
    expect((await messages.take(2)).map(({ offset }) => offset)).toEqual([3n, 4n]);
    messages.cancel();
  });

  const stopsAt: [string, () => Request, number][] = [
    ['STOP_OFFSET 0', () => ({ stopPosition: STOP_OFFSET, stopOffset: 0n }), 0],
    ['STOP_OFFSET 4', () => ({ stopPosition: STOP_OFFSET, stopOffset: 4n }), 4],
    ['STOP_LATEST', () => ({ stopPosition: STOP_LATEST }), 9],
    ['STOP_TIMESTAMP ts(3)', () => ({ stopPosition: STOP_TIMESTAMP, stopTimestamp: times[3]! }), 3],
    ['STOP_TIMESTAMP ts(3) + 1', () => ({ stopPosition: STOP_TIMESTAMP, stopTimestamp: times[3]! + 1n }), 3],
    ['STOP_TIMESTAMP ts(3) - 1', () => ({ stopPosition: STOP_TIMESTAMP, stopTimestamp: times[3]! - 1n }), 2],
    ['STOP_TIMESTAMP in the future', () => ({ stopPosition: STOP_TIMESTAMP, stopTimestamp: 2n ** 62n }), 9],
  ];
  it.each(stopsAt)('ends at %s', async (_, request, last) => {
    const expected = { live: true, offsets: from(0, last), end: STOPPED };
    expect(await read({ stream: 'ten', startPosition: EARLIEST, ...request() })).toEqual(expected);
  });

  const refused: [string, Request, CallEnd][] = [
    ['STOP_OFFSET -2', { startPosition: EARLIEST, stopPosition: STOP_OFFSET, stopOffset: -2n }, beforeStart('-2 < 0')],
    [
      'OFFSET 5 to STOP_OFFSET 4',
      { startPosition: OFFSET, startOffset: 5n, stopPosition: STOP_OFFSET, stopOffset: 4n },
      beforeStart('4 < 5'),
    ],
    ['NEW_ONLY to STOP_LATEST', { stopPosition: STOP_LATEST }, beforeStart('9 < 10')],
    ['NEW_ONLY to STOP_OFFSET 5', { stopPosition: STOP_OFFSET, stopOffset: 5n }, beforeStart('5 < 10')],
    [
      'STOP_TIMESTAMP before the first',
      { startPosition: EARLIEST, stopPosition: STOP_TIMESTAMP, stopTimestamp: 0n },
      lookup('timestamp is before the beginning of the log'),
    ],
  ];
  it.each(refused)('rejects %s', async (_, request, end) => {
    await expectRefused({ stream: 'ten', ...request }, end);
  });

  it('never stops at STOP_OFFSET -1', async () => {
    const request = { stream: 'ten', startPosition: EARLIEST, stopPosition: STOP_OFFSET, stopOffset: -1n };
    const messages = api.subscribe(request);
    await messages.take(11);
    messages.cancel();
    expect(await messages.end()).toMatchObject({ status: 'CANCELLED' });
  });

  it('fails to resolve the stop position in an empty stream', async () => {
    const startPosition = EARLIEST;
    await expectRefused({ stream: 'empty', startPosition, stopPosition: STOP_LATEST }, exhausted('Stream is empty'));
    await expectRefused(
      { stream: 'empty', startPosition, stopPosition: STOP_TIMESTAMP, stopTimestamp: 5n },
      lookup('failed to find log segment for timestamp: EOF'),
    );
  });

  it('delivers all messages in order to a client that reads slowly', async () => {
    await api.createStream('slow');
    const publishing = api.publishAsync();
    const value = Buffer.alloc(64 * 1024, 'x');
    for (let i = 0; i < 200; i++) publishing.send({ stream: 'slow', value, correlationId: `${i}` });
    await publishing.take(200);
    publishing.cancel();
    const messages = api.subscribe({ stream: 'slow', startPosition: EARLIEST, stopPosition: STOP_LATEST });
    messages.pause();
    await api.publish('slow', ['behind the stop']);
    messages.resume();
    const { messages: read, end } = await messages.all();
    expect(read.slice(1).map(({ offset }) => Number(offset))).toEqual(from(0, 199));
    expect(end).toEqual(STOPPED);
  });
});

describe('Subscribe on a readonly partition', () => {
  const rows: [string, Request, { live: boolean; offsets: number[]; end: CallEnd }][] = [
    ['EARLIEST', { startPosition: EARLIEST }, { live: true, offsets: from(0, 9), end: STOPPED }],
    ['LATEST', { startPosition: LATEST }, { live: true, offsets: [9], end: STOPPED }],
    ['OFFSET 9', { startPosition: OFFSET, startOffset: 9n }, { live: true, offsets: [9], end: STOPPED }],
    ['NEW_ONLY', {}, { live: false, offsets: [], end: beforeStart('9 < 10') }],
    [
      'OFFSET 10',
      { startPosition: OFFSET, startOffset: 10n },
      { live: false, offsets: [], end: beforeStart('9 < 10') },
    ],
    [
      'EARLIEST to STOP_OFFSET 20',
      { startPosition: EARLIEST, stopPosition: STOP_OFFSET, stopOffset: 20n },
      { live: true, offsets: from(0, 9), end: END_OF_READONLY },
    ],
    [
      'NEW_ONLY to STOP_OFFSET 20',
      { stopPosition: STOP_OFFSET, stopOffset: 20n },
      { live: true, offsets: [], end: END_OF_READONLY },
    ],
  ];
  it.each(rows)('delivers the expected offsets for %s', async (_, request, expected) => {
    expect(await read({ stream: 'readonly', ...request })).toEqual(expected);
  });

  const empty: [string, Request][] = [
    ['EARLIEST', { startPosition: EARLIEST }],
    ['NEW_ONLY', {}],
    ['STOP_OFFSET 5', { startPosition: EARLIEST, stopPosition: STOP_OFFSET, stopOffset: 5n }],
  ];
  it.each(empty)('ends at once when it is empty, at %s', async (_, request) => {
    const expected = { live: true, offsets: [], end: END_OF_READONLY };
    expect(await read({ stream: 'readonly-empty', ...request })).toEqual(expected);
  });

  it('fails with the text for an empty partition at STOP_LATEST', async () => {
    await expectRefused({ stream: 'readonly-empty', stopPosition: STOP_LATEST }, exhausted('Stream is empty'));
  });

  it('ends for a client that has read everything when the partition becomes readonly', async () => {
    await api.createStream('becomes-readonly');
    await api.publish('becomes-readonly', ['a']);
    const messages = api.subscribe({ stream: 'becomes-readonly', startPosition: EARLIEST });
    await messages.take(2);
    await api.call('SetStreamReadonly', { name: 'becomes-readonly', readonly: true });
    expect(await messages.end()).toEqual(END_OF_READONLY);
  });
});

describe('Subscribe in reverse', () => {
  const rows: [string, () => Request, number[], CallEnd][] = [
    ['LATEST', () => ({ startPosition: LATEST }), from(9, 0), EOF],
    ['NEW_ONLY', () => ({}), from(9, 0), EOF],
    ['OFFSET 50', () => ({ startPosition: OFFSET, startOffset: 50n }), from(9, 0), EOF],
    ['EARLIEST', () => ({ startPosition: EARLIEST }), [0], EOF],
    ['OFFSET -1', () => ({ startPosition: OFFSET, startOffset: -1n }), [0], EOF],
    ['OFFSET 4', () => ({ startPosition: OFFSET, startOffset: 4n }), from(4, 0), EOF],
    ['TIMESTAMP ts(5)', () => ({ startPosition: TIMESTAMP, startTimestamp: times[5]! }), from(5, 0), EOF],
    [
      'LATEST to STOP_OFFSET 9',
      () => ({ startPosition: LATEST, stopPosition: STOP_OFFSET, stopOffset: 9n }),
      [9],
      STOPPED,
    ],
    ['LATEST to STOP_LATEST', () => ({ startPosition: LATEST, stopPosition: STOP_LATEST }), [9], STOPPED],
    [
      'OFFSET 4 to STOP_OFFSET 9',
      () => ({ startPosition: OFFSET, startOffset: 4n, stopPosition: STOP_OFFSET, stopOffset: 9n }),
      from(4, 0),
      EOF,
    ],
    [
      'OFFSET 20 to STOP_OFFSET 20',
      () => ({ startPosition: OFFSET, startOffset: 20n, stopPosition: STOP_OFFSET, stopOffset: 20n }),
      from(9, 0),
      EOF,
    ],
  ];
  it.each(rows)('reads back from %s', async (_, request, offsets, end) => {
    expect(await read({ stream: 'ten', reverse: true, ...request() })).toEqual({ live: true, offsets, end });
  });

  it('checks start and stop as in forward direction', async () => {
    const reverse = { stream: 'ten', reverse: true };
    const stopOffset = { stopPosition: STOP_OFFSET, stopOffset: 5n };
    await expectRefused({ ...reverse, startPosition: LATEST, ...stopOffset }, beforeStart('5 < 9'));
    const beyond = { startPosition: OFFSET, startOffset: 20n, stopPosition: STOP_LATEST };
    await expectRefused({ ...reverse, ...beyond }, beforeStart('9 < 20'));
  });

  it.each([NEW_ONLY, OFFSET, EARLIEST, LATEST])('fails when nothing is committed (%i)', async (startPosition) => {
    const message = 'Failed to create stream reader: segment not found';
    await expectRefused({ stream: 'empty', reverse: true, startPosition }, { status: 'INTERNAL', message });
  });

  it('yields one message of a readonly partition from LATEST, and all from OFFSET', async () => {
    const request = { stream: 'readonly', reverse: true };
    expect(await read({ ...request, startPosition: LATEST })).toMatchObject({ offsets: [9], end: STOPPED });
    expect(await read({ ...request, startPosition: OFFSET, startOffset: 4n })).toMatchObject({
      offsets: from(4, 0),
      end: EOF,
    });
    await expectRefused(request, beforeStart('9 < 10'));
  });
});
