import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Client, connect, InvalidArgumentError } from '../../src/index.js';
import { StubServer } from '../support/stub-server.js';

let stub: StubServer;
let client: Client;

beforeEach(async () => {
  stub = await StubServer.start();
  stub.streams.set('foo', { partitions: [{ leader: 'stub' }, { leader: 'stub' }] });
  stub.streams.set('__cursors', { partitions: [{ leader: 'stub' }, { leader: 'stub' }] });
  client = await connect(stub.address);
});

afterEach(async () => {
  await client.close();
  await stub.stop();
});

const unset = {
  retentionMaxBytes: undefined,
  retentionMaxMessages: undefined,
  retentionMaxAge: undefined,
  cleanerInterval: undefined,
  segmentMaxBytes: undefined,
  segmentMaxAge: undefined,
  compactMaxGoroutines: undefined,
  compactEnabled: undefined,
  autoPauseTime: undefined,
  autoPauseDisableIfSubscribers: undefined,
  minIsr: undefined,
  optimisticConcurrencyControl: undefined,
  encryption: undefined,
};

describe('createStream', () => {
  it('leaves every omitted setting unset', async () => {
    await client.createStream('subject', 'name', { waitForLeaders: false });
    const defaults = { subject: 'subject', name: 'name', group: '', replicationFactor: 0, partitions: 0 };
    expect(stub.of('createStream')).toEqual([{ ...defaults, ...unset }]);
  });

  it('sends every option, durations in milliseconds', async () => {
    await client.createStream('subject', 'name', {
      waitForLeaders: false,
      group: 'group',
      partitions: 3,
      replicationFactor: 'max',
      retentionMaxBytes: 1n,
      retentionMaxMessages: 2,
      retentionMaxAge: 3,
      cleanerInterval: 4,
      segmentMaxBytes: 5n,
      segmentMaxAge: 6,
      compactMaxGoroutines: 7,
      compactEnabled: true,
      autoPauseTime: 8,
      autoPauseDisableIfSubscribers: true,
      minIsr: 9,
      optimisticConcurrencyControl: true,
      encryption: true,
    });
    expect(stub.of('createStream')[0]).toEqual({
      subject: 'subject',
      name: 'name',
      group: 'group',
      replicationFactor: -1,
      partitions: 3,
      retentionMaxBytes: { value: 1n },
      retentionMaxMessages: { value: 2n },
      retentionMaxAge: { value: 3n },
      cleanerInterval: { value: 4n },
      segmentMaxBytes: { value: 5n },
      segmentMaxAge: { value: 6n },
      compactMaxGoroutines: { value: 7 },
      compactEnabled: { value: true },
      autoPauseTime: { value: 8n },
      autoPauseDisableIfSubscribers: { value: true },
      minIsr: { value: 9 },
      optimisticConcurrencyControl: { value: true },
      encryption: { value: true },
    });
  });

  it('distinguishes 0 and false from unset', async () => {
    const options = { retentionMaxAge: 0, retentionMaxBytes: 0n, compactEnabled: false, minIsr: 0 };
    await client.createStream('subject', 'name', { ...options, waitForLeaders: false });
    expect(stub.of('createStream')[0]).toMatchObject({
      retentionMaxAge: { value: 0n },
      retentionMaxBytes: { value: 0n },
      compactEnabled: { value: false },
      minIsr: { value: 0 },
      segmentMaxAge: undefined,
    });
  });

  it('rejects with STREAM_EXISTS when the name is taken', async () => {
    stub.on('createStream', () => ({ fail: 'ALREADY_EXISTS', details: 'stream already exists' }));
    await expect(client.createStream('subject', 'foo')).rejects.toMatchObject({
      code: 'STREAM_EXISTS',
      operation: 'CreateStream',
    });
    expect(stub.of('createStream')).toHaveLength(1);
  });

  it.each([
    ['', 'name', {}, 'expected subject to be a NATS subject'],
    ['a b', 'name', {}, 'expected subject to be a NATS subject'],
    ['a..b', 'name', {}, 'expected subject to be a NATS subject'],
    ['a', '', {}, 'expected name to be a non-empty string'],
    ['a', '__cursors', {}, 'expected name to be a non-empty string other than __cursors'],
    ['a', 'name', { partitions: -1 }, 'expected partitions to be a whole number from 1 to 2147483647, got -1 (number)'],
    ['a', 'name', { replicationFactor: 0 }, 'expected replicationFactor to be a whole number'],
    ['a', 'name', { retentionMaxAge: 0.5 }, 'expected retentionMaxAge to be a whole number of milliseconds'],
    ['a', 'name', { retentionMaxBytes: '1 GB' }, 'expected retentionMaxBytes to be an integer of at least 0'],
    ['a', 'name', { replicas: 3 }, 'unknown option replicas, got 3 (number)'],
    ['a', 'name', { timeout: -1 }, 'expected timeout to be a number of milliseconds'],
  ])('rejects (%o, %o, %o) before it sends anything', async (subject, name, options, text) => {
    const attempt = client.createStream(subject, name, options as object);
    await expect(attempt).rejects.toBeInstanceOf(InvalidArgumentError);
    await expect(attempt).rejects.toThrow(text);
    expect(stub.of('createStream')).toEqual([]);
  });
});

describe('createStream after a lost response', () => {
  const lost = (then: 'exists' | 'other subject' | 'known before') => {
    stub.on('createStream', (_request, call) => {
      if (call > 1) return { fail: 'ALREADY_EXISTS', details: 'stream already exists' };
      const subject = then === 'other subject' ? 'elsewhere' : 'subject';
      stub.streams.set('new', { subject, partitions: [{ leader: 'stub' }] });
      return { fail: 'UNAVAILABLE', details: 'going away' };
    });
  };

  it('succeeds when the existing stream has the requested settings', async () => {
    lost('exists');
    await client.createStream('subject', 'new', { waitForLeaders: false });
    expect(stub.of('createStream')).toHaveLength(2);
  });

  it('rejects with STREAM_EXISTS when the existing stream has other settings', async () => {
    lost('other subject');
    await expect(client.createStream('subject', 'new')).rejects.toMatchObject({ code: 'STREAM_EXISTS' });
    stub.streams.delete('new');
    stub.requests.length = 0;
    lost('exists');
    await expect(client.createStream('subject', 'new', { partitions: 2 })).rejects.toMatchObject({
      code: 'STREAM_EXISTS',
    });
  });

  it('rejects with STREAM_EXISTS when the stream already existed before the call', async () => {
    stub.streams.set('new', { subject: 'subject', partitions: [{ leader: 'stub' }] });
    await client.fetchMetadata();
    lost('known before');
    await expect(client.createStream('subject', 'new')).rejects.toMatchObject({ code: 'STREAM_EXISTS' });
  });
});

describe('createStream, while partitions have no leader,', () => {
  it('waits until every partition has a leader that responds', async () => {
    stub.on('createStream', () => {
      stub.streams.set('new', { partitions: [{ leader: 'stub' }, { leader: '' }] });
      return { answer: {} };
    });
    let refusals = 2;
    stub.on('fetchPartitionMetadata', ({ partition }) => {
      if (partition === 0 && refusals-- > 0) return { fail: 'FAILED_PRECONDITION', details: 'not leader' };
      stub.streams.set('new', { partitions: [{ leader: 'stub' }, { leader: 'stub' }] });
      return { answer: {} };
    });
    await client.createStream('subject', 'new', { partitions: 2 });
    expect(new Set(stub.of('fetchPartitionMetadata').map(({ partition }) => partition))).toEqual(new Set([0, 1]));
    expect(refusals).toBeLessThan(1);
  });

  it('rejects with TIMEOUT and names the partition without a leader', async () => {
    stub.streams.set('new', { partitions: [{ leader: 'stub' }, { leader: '' }] });
    const attempt = client.createStream('subject', 'new', { partitions: 2, timeout: 1_500 });
    await expect(attempt).rejects.toMatchObject({ code: 'TIMEOUT', stream: 'new', operation: 'CreateStream' });
    await expect(attempt).rejects.toThrow(
      /was created, but within \d+ ms no leader answered for partition 1\..*no known leader/,
    );
  });
});

describe('deleteStream', () => {
  it('sends the name, and rejects with NO_SUCH_STREAM when the stream does not exist', async () => {
    await client.deleteStream('foo');
    expect(stub.of('deleteStream')).toEqual([{ name: 'foo' }]);
    stub.on('deleteStream', () => ({ fail: 'NOT_FOUND', details: 'stream does not exist' }));
    await expect(client.deleteStream('bar')).rejects.toMatchObject({ code: 'NO_SUCH_STREAM' });
  });

  it('succeeds when an attempt with a lost response has deleted the stream', async () => {
    stub.on('deleteStream', (_request, call) => ({ fail: call === 1 ? 'UNAVAILABLE' : 'NOT_FOUND' }));
    await client.deleteStream('foo');
    expect(stub.of('deleteStream')).toHaveLength(2);
  });
});

describe('pauseStream', () => {
  it('pauses all partitions by default, or the given ones', async () => {
    await client.pauseStream('foo');
    await client.pauseStream('foo', { partitions: [0, 1], resumeAll: true });
    expect(stub.of('pauseStream')).toEqual([
      { name: 'foo', partitions: [], resumeAll: false },
      { name: 'foo', partitions: [0, 1], resumeAll: true },
    ]);
  });

  it('rejects an empty list, which would mean all partitions', async () => {
    await expect(client.pauseStream('foo', { partitions: [] })).rejects.toThrow(
      'pauseStream: expected partitions to be a non-empty array of partition ids, got an array of 0 (object)',
    );
    expect(stub.of('pauseStream')).toEqual([]);
  });

  it('rejects with NO_SUCH_PARTITION', async () => {
    stub.on('pauseStream', () => ({ fail: 'NOT_FOUND', details: 'partition does not exist' }));
    await expect(client.pauseStream('foo', { partitions: [9] })).rejects.toMatchObject({ code: 'NO_SUCH_PARTITION' });
  });
});

describe('setStreamReadonly', () => {
  it('sets all partitions readonly by default, and resets the given ones', async () => {
    await client.setStreamReadonly('foo');
    await client.setStreamReadonly('foo', { partitions: [0, 1], readonly: false });
    expect(stub.of('setStreamReadonly')).toEqual([
      { name: 'foo', partitions: [], readonly: true },
      { name: 'foo', partitions: [0, 1], readonly: false },
    ]);
  });

  it('rejects with NO_SUCH_PARTITION', async () => {
    stub.on('setStreamReadonly', () => ({ fail: 'NOT_FOUND', details: 'stream not found' }));
    await expect(client.setStreamReadonly('bar')).rejects.toMatchObject({ code: 'NO_SUCH_PARTITION' });
  });
});

describe('setCursor and fetchCursor', () => {
  it('send id, stream, partition and offset to the leader', async () => {
    stub.on('fetchCursor', () => ({ answer: { offset: 11n } }));
    await client.setCursor('id', 'foo', 1, 5);
    expect(await client.fetchCursor('id', 'foo', 1)).toBe(11n);
    expect(stub.of('setCursor')).toEqual([{ cursorId: 'id', stream: 'foo', partition: 1, offset: 5n }]);
    expect(stub.of('fetchCursor')).toEqual([{ cursorId: 'id', stream: 'foo', partition: 1 }]);
  });

  it('reject when every broker responds that it is not the leader', async () => {
    await using impatient = await connect(stub.address, { retry: { attempts: 3, minDelay: 1 } });
    const refusal = { fail: 'FAILED_PRECONDITION', details: 'Server not leader for cursors partition 0' } as const;
    stub.on('setCursor', () => refusal);
    stub.on('fetchCursor', () => refusal);
    const expected = { code: 'CONNECTION', reason: 'no-leader', retryable: true };
    await expect(impatient.setCursor('id', 'foo', 0, 1n)).rejects.toMatchObject(expected);
    await expect(impatient.fetchCursor('id', 'foo', 0)).rejects.toMatchObject(expected);
    expect(stub.of('setCursor')).toHaveLength(3);
  });

  it('are retried when the cursors stream stalls', async () => {
    stub.on('setCursor', (_request, call) =>
      call === 1 ? { fail: 'INTERNAL', details: 'context deadline exceeded' } : { answer: {} },
    );
    await client.setCursor('id', 'foo', 0, 1n);
    expect(stub.of('setCursor')).toHaveLength(2);
  });

  it('reject with CURSORS_DISABLED when cursors are disabled on the server', async () => {
    stub.streams.delete('__cursors');
    await using other = await connect(stub.address);
    await expect(other.setCursor('id', 'foo', 0, 1n)).rejects.toMatchObject({ code: 'CURSORS_DISABLED' });
    await expect(other.fetchCursor('id', 'foo', 0)).rejects.toThrow(/cursors\.stream\.partitions/);
  });

  it.each([
    [() => client.setCursor('', 'foo', 0, 1), 'setCursor: expected cursorId to be a non-empty string, got "" (string)'],
    [() => client.setCursor('id', 'foo', -1, 1), 'setCursor: expected partition to be a whole number from 0'],
    [() => client.setCursor('id', 'foo', 0, 1.5), 'setCursor: expected offset to be a 64-bit integer'],
    [() => client.fetchCursor('id', '', 0), 'fetchCursor: expected stream to be a non-empty string'],
  ])('reject an invalid argument before they send anything', async (call, text) => {
    await expect(call()).rejects.toThrow(text);
    expect(stub.of('setCursor')).toEqual([]);
  });
});

describe('fetchPartitionMetadata', () => {
  it('returns high watermark, newest offset, timestamps, leader, replicas and ISR', async () => {
    const times = (first: bigint) => ({
      firstTimestamp: first * 1_000_000n,
      latestTimestamp: (first + 1n) * 1_000_000n,
    });
    stub.on('fetchPartitionMetadata', ({ partition }) => ({
      answer: {
        metadata: {
          id: partition,
          leader: 'stub',
          replicas: ['stub'],
          isr: ['stub', 'unknown'],
          highWatermark: 100n,
          newestOffset: 105n,
          paused: true,
          readonly: true,
          messagesReceivedTimestamps: times(1n),
          pauseTimestamps: times(3n),
          readonlyTimestamps: times(5n),
        },
      },
    }));
    const stubInfo = client.metadata.brokers.get('stub');
    expect(await client.fetchPartitionMetadata('foo', 1)).toEqual({
      id: 1,
      leader: stubInfo,
      replicas: [stubInfo],
      isr: [stubInfo],
      highWatermark: 100n,
      newestOffset: 105n,
      paused: true,
      readonly: true,
      messagesReceived: { first: new Date(1), latest: new Date(2) },
      pauses: { first: new Date(3), latest: new Date(4) },
      readonlyChanges: { first: new Date(5), latest: new Date(6) },
    });
  });

  it('rejects eventually when the leader always responds that it is not the leader', async () => {
    await using impatient = await connect(stub.address, { retry: { attempts: 3, minDelay: 1 } });
    stub.on('fetchPartitionMetadata', () => ({ fail: 'FAILED_PRECONDITION', details: 'not partition leader' }));
    await expect(impatient.fetchPartitionMetadata('foo', 0)).rejects.toMatchObject({
      code: 'CONNECTION',
      reason: 'no-leader',
      stream: 'foo',
      partition: 0,
      broker: 'stub',
    });
  });

  it('rejects with PARTITION_PAUSED when the partition has no leader because it is paused', async () => {
    stub.streams.set('foo', { partitions: [{ leader: 'stub', paused: true }] });
    stub.on('fetchPartitionMetadata', () => ({ fail: 'FAILED_PRECONDITION', details: 'not partition leader' }));
    await expect(client.fetchPartitionMetadata('foo', 0)).rejects.toMatchObject({ code: 'PARTITION_PAUSED' });
    expect(stub.of('fetchPartitionMetadata')).toHaveLength(1);
  });

  it('rejects with NO_SUCH_STREAM and NO_SUCH_PARTITION without asking a leader', async () => {
    await expect(client.fetchPartitionMetadata('bar', 0)).rejects.toMatchObject({ code: 'NO_SUCH_STREAM' });
    await expect(client.fetchPartitionMetadata('foo', 2)).rejects.toMatchObject({ code: 'NO_SUCH_PARTITION' });
    expect(stub.of('fetchPartitionMetadata')).toEqual([]);
  });

  it('rejects with CONNECTION when the partition has no leader', async () => {
    await using impatient = await connect(stub.address, { retry: { attempts: 3, minDelay: 1 } });
    stub.streams.set('foo', { partitions: [{ leader: '' }] });
    await impatient.fetchMetadata();
    await expect(impatient.fetchPartitionMetadata('foo', 0)).rejects.toMatchObject({ reason: 'no-leader' });
    expect(stub.of('fetchPartitionMetadata')).toEqual([]);
  });
});

describe('fetchMetadata', () => {
  it('requests all streams and no groups by default, or the given ones', async () => {
    stub.requests.length = 0;
    await client.fetchMetadata();
    await client.fetchMetadata({ streams: ['foo'], groups: ['g'] });
    expect(stub.of('fetchMetadata')).toEqual([
      { streams: [], groups: [] },
      { streams: ['foo'], groups: ['g'] },
    ]);
  });

  it('returns only the requested streams and groups, and updates the cached snapshot', async () => {
    stub.streams.set('bar', { partitions: [{ leader: 'stub' }] });
    const metadata = await client.fetchMetadata({ streams: ['bar', 'unknown'] });
    expect([...metadata.streams.keys()]).toEqual(['bar']);
    expect([...client.metadata.streams.keys()].sort()).toEqual(['__cursors', 'bar', 'foo']);
    expect(metadata.streams.get('bar')?.partitions.get(0)?.leader).toBe(metadata.brokers.get('stub'));
  });
});

describe('call metadata', () => {
  it('is sent with every call, and computed for each call when it is a function', async () => {
    let token = 0;
    await using other = await connect(stub.address, { metadata: async () => ({ authorization: `Bearer ${++token}` }) });
    stub.requests.length = 0;
    await other.ping();
    await other.ping();
    const sent = stub.requests.map(({ metadata }) => metadata.authorization);
    expect(new Set(sent).size).toBe(2);
    expect(String(sent[0])).toMatch(/^Bearer \d+$/);
  });
});

describe('one signal for many calls', () => {
  it('does not make Node warn about a listener leak', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on('warning', note);
    onTestFinished(() => void process.off('warning', note));
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 40 }, () => client.ping({ signal })));
    stub.on('createStream', () => {
      stub.streams.set('wide', { partitions: Array.from({ length: 40 }, () => ({ leader: 'stub' })) });
      return { answer: {} };
    });
    await client.createStream('wide', 'wide', { partitions: 40, signal });
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  });
});
