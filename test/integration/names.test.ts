import { TestBroker } from 'liftbridge-test-broker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeMessage } from '../../src/envelope.js';
import { type Client, connect } from '../../src/index.js';

let broker: TestBroker;
let client: Client;

beforeAll(async () => {
  broker = await TestBroker.start({ cursorsPartitions: 1, activityStream: true });
  client = await connect(broker.addresses);
  await client.createStream('orders', 'orders');
});

afterAll(async () => {
  await client.close();
  await broker.close();
});

async function failure(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('the call did not fail');
}

async function first(iterable: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of iterable) return;
}

/** Names that no server can store: it crashes when such a stream is created. */
const IMPOSSIBLE = [
  'with space',
  ' a',
  'a\tb',
  'a\r',
  'a\n',
  'a\0',
  '.',
  '..',
  '.a',
  'a.',
  'a..b',
  '../x',
  'n'.repeat(256),
];
/** Names that a server accepts, and that damage other streams. */
const HARMFUL = ['/a', 'a/b', '*', 'a.*', '>', 'a.>'];

/** Every call that takes the name of an existing stream. */
const ON_A_STREAM: Record<string, (stream: string) => unknown> = {
  deleteStream: (stream) => client.deleteStream(stream),
  pauseStream: (stream) => client.pauseStream(stream),
  setStreamReadonly: (stream) => client.setStreamReadonly(stream),
  publish: (stream) => client.publish(stream, 'refused'),
  publishAsync: (stream) => client.publishAsync(stream, 'refused', () => undefined),
  publishAll: (stream) => first(client.publishAll(stream, ['refused'])),
  subscribe: (stream) => client.subscribe(stream),
  fetchMetadata: (stream) => client.fetchMetadata({ streams: [stream] }),
  fetchPartitionMetadata: (stream) => client.fetchPartitionMetadata(stream, 0),
  setCursor: (stream) => client.setCursor('id', stream, 0, 1),
  fetchCursor: (stream) => client.fetchCursor('id', stream, 0),
  'consumer.subscribe': (stream) => client.createConsumer('group').subscribe([stream]),
};

describe('a name that crashes a server', () => {
  it.each([...IMPOSSIBLE, ...HARMFUL])('createStream rejects %j and describes the allowed names', async (name) => {
    expect(await failure(() => client.createStream('subject', name))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(
        /^createStream: expected name to be a non-empty string of at most 255 bytes .*: /s,
      ),
    });
  });

  it.each(Object.entries(ON_A_STREAM))('%s rejects it before it sends anything', async (operation, call) => {
    for (const name of IMPOSSIBLE)
      expect(await failure(() => call(name))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(new RegExp(`^${operation}: expected (name|stream|streams\\[0\\]) to be`)),
      });
  });

  it.each(HARMFUL)('%j can be deleted when another client has created it', async (name) => {
    await expect(client.deleteStream(name)).rejects.toMatchObject({ code: 'NO_SUCH_STREAM' });
  });

  it.each([
    ['with a space', 'a b', 1],
    ['with an empty token', 'a..b', 1],
    ['that is empty', '', 1],
    ['with > before its end', 'a.>.b', 1],
    ['with > for two partitions', 'a.>', 2],
    ['of 4,001 bytes', 's'.repeat(4_001), 1],
  ])('createStream rejects a subject %s', async (_, subject, partitions) => {
    expect(await failure(() => client.createStream(subject, 'refused', { partitions }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/^createStream: expected subject to be a NATS subject/),
    });
  });

  it.each([
    ['with a space', 'a b'],
    ['with a line feed', 'a\n'],
    ['of 4,000 bytes', 'g'.repeat(4_000)],
  ])('createStream rejects a group %s', async (_, group) => {
    expect(await failure(() => client.createStream('subject', 'refused', { group }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/^createStream: expected group to be a string without space/),
    });
  });

  it('publishToSubject rejects a subject of more than 4,000 bytes', async () => {
    expect(await failure(() => client.publishToSubject('s'.repeat(4_001), 'refused'))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it.each([
    ['publishToSubject', (ackInbox: string) => client.publishToSubject('orders', 'refused', { ackInbox })],
    ['publish', (ackInbox: string) => client.publish('orders', 'refused', { ackInbox })],
    ['encodeMessage', (ackInbox: string) => encodeMessage('refused', { ackInbox })],
  ])('%s rejects an ack inbox of 4,001 bytes, which ends the connection of a server to NATS', async (_, call) => {
    expect(await failure(() => call('i'.repeat(4_001)))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(broker.messages('orders')).toEqual([]);
  });

  it('every publish method rejects a header name of 32,768 bytes', async () => {
    const headers = { ['h'.repeat(32_768)]: 'x' };
    const calls = [
      () => client.publish('orders', 'refused', { headers }),
      () => client.publishAsync('orders', 'refused', () => undefined, { headers }),
      () => first(client.publishAll('orders', [{ value: 'refused', headers }])),
      () => client.publishToSubject('orders', 'refused', { headers }),
      () => encodeMessage('refused', { headers }),
    ];
    for (const call of calls)
      expect(await failure(call)).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('of at most 32767 bytes'),
      });
    expect(broker.messages('orders')).toEqual([]);
  });
});

describe('a name that is safe for a server', () => {
  it.each(['a>b', 'a*', 'a:b\\c"%2e', '$SYS', '__x', 'слова-😀', 'n'.repeat(255)])(
    '%j works in every call',
    async (name) => {
      await client.createStream('safe', name);
      await client.publish(name, 'kept', { headers: { '': 'x', 'a b\n': 'y', ['h'.repeat(32_767)]: 'z' } });
      await client.setCursor('a cursor', name, 0, 0);
      expect(await client.fetchCursor('a cursor', name, 0)).toBe(0n);
      expect([...(await client.fetchMetadata({ streams: [name] })).streams.keys()]).toEqual([name]);
      await client.deleteStream(name);
    },
  );
});
