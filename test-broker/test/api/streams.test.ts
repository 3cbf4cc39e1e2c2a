import type { wire } from 'liftbridge-client/protocol';
import type { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { names, shareBroker } from '../broker-fixture.js';
import type { ApiClient } from './api-client.js';

let broker: TestBroker;
let api: ApiClient;

beforeAll(async () => {
  ({ broker, api } = await shareBroker({ cursorsPartitions: 0 }));
});

const fresh = names('streams');
const invalid = (message: string) => ({ status: 'INVALID_ARGUMENT', message });
const value = <T>(of: T) => ({ value: of });

const REFUSED: [Partial<wire.CreateStreamRequest>, string][] = [
  [{ name: '', subject: 'x' }, 'Name cannot be empty'],
  [{ name: '', subject: '' }, 'Name cannot be empty'],
  ...['', 'a b', 'a..b', '.a', 'a.', 'a\tb', 'a\rb', 'a\nb'].map(
    (subject): [{ name: string; subject: string }, string] => [{ name: 's', subject }, 'Subject is invalid'],
  ),
  [{ name: '__cursors', subject: 'x' }, 'Stream is reserved'],
  [{ name: '__activity', subject: 'x' }, 'Stream is reserved'],
  [{ name: '__cursors', subject: '' }, 'Subject is invalid'],
  [{ name: 's', subject: 'x', replicationFactor: -2 }, 'Invalid replicationFactor -2'],
  [{ name: 's', subject: 'x', replicationFactor: 5 }, 'Invalid replicationFactor 5, cluster size 1'],
];

describe('CreateStream', () => {
  it.each(REFUSED)('rejects %j: %s', async (request, message) => {
    expect(await api.failure('CreateStream', request)).toEqual(invalid(message));
  });

  it.each([
    ['partitions below 0', { partitions: -1 }, 'Invalid partitions -1'],
    ['partitions without number', { partitions: 2 ** 31 - 1 }, 'Invalid partitions 2147483647'],
    ['a negative cleaner interval', { cleanerInterval: value(-1n) }, 'Invalid cleanerInterval -1'],
    ['a negative segment size', { segmentMaxBytes: value(-1n) }, 'Invalid segmentMaxBytes -1'],
    ['a name with a space', { name: 'a b' }, 'Name is invalid: it has a space'],
    ['a name with a tab', { name: 'a\tb' }, 'Name is invalid: it has a tab'],
    ['a name with a line feed', { name: 'a\n' }, 'Name is invalid: it has a line feed'],
    ['a name with a carriage return', { name: '\ra' }, 'Name is invalid: it has a carriage return'],
    ['a name with NUL', { name: 'a\0b' }, 'Name is invalid: it has a NUL character'],
    ['a name of 256 bytes', { name: 'ü'.repeat(128) }, 'Name is invalid: it takes 256 bytes'],
    ...['.', '..', '.a', 'a.', 'a..b', '../../../x'].map((name): [string, object, string] => [
      `the name ${name}`,
      { name },
      'Name is invalid: a part between its dots is empty',
    ]),
    ...['/a', 'a/', 'a/b', 'a//b'].map((name): [string, object, string] => [
      `the name ${name}`,
      { name },
      'Name is invalid: it has a slash',
    ]),
    ...['*', 'a.*', '>', 'a.>', 'x.>.y'].map((name): [string, object, string] => [
      `the name ${name}`,
      { name },
      `Name is invalid: the part "${name.includes('*') ? '*' : '>'}" is a NATS wildcard`,
    ]),
    ['a > that is not last', { subject: 'a.>.b' }, 'Subject is invalid: the wildcard ">" is not its last part'],
    [
      'a > for several partitions',
      { subject: 'a.>', partitions: 2 },
      'Subject is invalid: the wildcard ">" allows one partition only',
    ],
    ['a subject of 4,001 bytes', { subject: 's'.repeat(4_001) }, 'Subject is invalid: it takes 4001 bytes'],
    ['a group with a space', { group: 'a b' }, 'Group is invalid: it has a space'],
    ['a long group', { group: 'g'.repeat(4_000) }, 'Group is invalid: group and subject take 4001 bytes'],
  ])('rejects %s, which crashes a real server', async (_, request, message) => {
    const error = await api.failure('CreateStream', { name: fresh(), subject: 'x', ...request });
    expect(error.status).toBe('INVALID_ARGUMENT');
    expect(error.message.startsWith(message)).toBe(true);
    expect((await api.call('FetchMetadata', {})).streamMetadata).toEqual([]);
  });

  it.each(['__other', 'a:b\\c.d', 'a>b.*c', 'ü', '$SYS.foo', 'n'.repeat(255)])('accepts the name %s', async (name) => {
    await expect(api.call('CreateStream', { name, subject: fresh() })).resolves.toEqual({});
    await api.call('DeleteStream', { name });
  });

  it.each(['', '*', '>', '..', 'a\0b', 'g'.repeat(3_000)])('accepts the group %j', async (group) => {
    const name = fresh();
    await expect(api.call('CreateStream', { name, subject: name, group })).resolves.toEqual({});
    await api.call('DeleteStream', { name });
  });

  it.each([
    ['of several tokens', { subject: 'a.b.c' }],
    ['that is a pattern', { subject: 'foo.*.x' }],
    ['that ends with >', { subject: 'foo.>' }],
  ])('accepts a subject %s', async (_, request) => {
    await expect(api.createStream(fresh(), request)).resolves.toBeUndefined();
  });

  it('rejects with ALREADY_EXISTS for an existing name, with any subject', async () => {
    const name = fresh();
    await api.createStream(name);
    const expected = { status: 'ALREADY_EXISTS', message: 'stream already exists' };
    expect(await api.failure('CreateStream', { name, subject: 'other' })).toEqual(expected);
  });

  it('checks the replication factor before the name', async () => {
    const name = fresh();
    await api.createStream(name);
    const message = 'Invalid replicationFactor 5, cluster size 1';
    expect(await api.failure('CreateStream', { name, subject: name, replicationFactor: 5 })).toEqual(invalid(message));
  });

  it.each([
    [0, [0]],
    [3, [0, 1, 2]],
  ])('creates the partitions for a count of %i', async (partitions, ids) => {
    const name = fresh();
    await api.createStream(name, { partitions, replicationFactor: -1 });
    const { streamMetadata } = await api.call('FetchMetadata', { streams: [name] });
    expect([...streamMetadata[0]!.partitions.keys()]).toEqual(ids);
  });

  it.each([-(2n ** 63n), 2n ** 63n - 1n])('accepts %s for every limit that accepts it on a server', async (limit) => {
    const name = fresh();
    const [limits, smallest] = [value(limit), value(limit < 0n ? 0n : limit)];
    await api.createStream(name, {
      retentionMaxBytes: limits,
      retentionMaxMessages: limits,
      retentionMaxAge: limits,
      segmentMaxAge: limits,
      autoPauseTime: limits,
      segmentMaxBytes: smallest,
      cleanerInterval: smallest,
      compactMaxGoroutines: value(limit < 0n ? -(2 ** 31) : 2 ** 31 - 1),
    });
    await api.publish(name, ['a']);
    await broker.clock.advance(600_000);
    const messages = api.subscribe({ stream: name, startPosition: 2 });
    expect((await messages.take(2))[1]!.offset).toBe(0n);
    messages.cancel();
  });

  it('accepts a minIsr that can never be reached', async () => {
    await expect(api.createStream(fresh(), { minIsr: value(3) })).resolves.toBeUndefined();
  });

  it('lets two streams share a subject', async () => {
    const subject = fresh();
    await api.createStream(fresh(), { subject });
    await expect(api.createStream(fresh(), { subject })).resolves.toBeUndefined();
  });
});

describe('CreateStream with encryption', () => {
  const name = 'LIFTBRIDGE_ENCRYPTION_KEY';
  afterEach(() => {
    delete process.env[name];
  });

  it.each([undefined, 'short'])('fails without a key of 16 or 32 bytes (%s)', async (key) => {
    if (key !== undefined) process.env[name] = key;
    const size = key?.length ?? 0;
    expect(await api.failure('CreateStream', { name: 'enc', subject: 'enc', encryption: value(true) })).toEqual({
      status: 'FAILED_PRECONDITION',
      message: `Failed on preconditions for stream's encryption handler: kwp: invalid AES key size; want 16 or 32, got ${size}`,
    });
  });

  it('returns the given settings', async () => {
    process.env[name] = '0123456789abcdef';
    const stream = fresh();
    await api.createStream(stream, { encryption: value(true) });
    await api.publish(stream, ['secret', '']);
    const messages = api.subscribe({ stream, startPosition: 2 });
    const [, first, second] = await messages.take(3);
    messages.cancel();
    expect(Buffer.from(first!.value).toString()).toBe('secret');
    expect(second!.value).toHaveLength(0);
  });
});

describe('DeleteStream', () => {
  it.each(['nope', ''])('fails with NOT_FOUND for a stream that does not exist (%j)', async (name) => {
    expect(await api.failure('DeleteStream', { name })).toEqual({
      status: 'NOT_FOUND',
      message: 'stream does not exist',
    });
  });

  it.each(['__cursors', '__activity'])('rejects %s', async (name) => {
    expect(await api.failure('DeleteStream', { name })).toEqual(invalid('Stream is reserved'));
  });

  it('lets a new stream with the same name begin at offset 0', async () => {
    const name = fresh();
    await api.createStream(name);
    await api.publish(name, ['a', 'b']);
    await api.call('DeleteStream', { name });
    await api.createStream(name);
    const [ack] = await api.publish(name, ['c']);
    expect(ack!.offset).toBe(0n);
  });

  it('ends live subscriptions', async () => {
    const name = fresh();
    await api.createStream(name);
    const messages = api.subscribe({ stream: name });
    await messages.next();
    await api.call('DeleteStream', { name });
    expect(await messages.end()).toEqual({ status: 'NOT_FOUND', message: 'commit log was deleted' });
  });
});
