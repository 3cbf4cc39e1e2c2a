import { type RecoveryPhase, TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';
import { type Client, type ClientOptions, connect, partitionByKey, type Subscription } from '../../src/index.js';
import { closing } from '../support/closing.js';
import { eventually } from '../support/eventually.js';
import { StubServer } from '../support/stub-server.js';

async function start(options: ClientOptions = {}): Promise<{ broker: TestBroker; client: Client; doubts: Doubts }> {
  const broker = closing(await TestBroker.start({ cursorsPartitions: 2 }));
  const doubts = new Doubts();
  const client = closing(await connect(broker.addresses, { logger: doubts, ...options }));
  await client.createStream('orders', 'orders', { partitions: 2 });
  for (const partition of [0, 1]) await client.publish('orders', 'before', { partition });
  return { broker, client, doubts };
}

/** Collects the values of a subscription as they arrive, and its result. */
function read(subscription: Subscription): { values: string[]; ended: Promise<unknown> } {
  const values: string[] = [];
  const ended = (async () => {
    try {
      for await (const message of subscription) values.push(message.text());
      return 'ended';
    } catch (error) {
      return error;
    }
  })();
  return { values, ended };
}

/** A logger that counts how often the client did not trust an "unknown" response. */
class Doubts {
  count = 0;
  readonly info = () => undefined;
  readonly warn = () => undefined;
  readonly error = () => undefined;
  readonly debug = (_context: object, message: string): void => {
    if (message.startsWith('unknown to brokers')) this.count++;
  };

  /** Resolves after this many further doubts: a call that ends too early has ended by then. */
  async more(count: number): Promise<void> {
    const until = this.count + count;
    await eventually(`${count} doubts`, () => this.count >= until);
  }
}

describe('a broker that restarts and does not know its streams yet', () => {
  it('ends no subscription: they continue after it has recovered', async () => {
    const { broker, client, doubts } = await start();
    const one = read(await client.subscribe('orders', { startAt: 'earliest' }));
    const all = read(await client.subscribe('orders', { partition: 'all', startAt: 'earliest' }));
    await eventually('what was there', () => one.values.length === 1 && all.values.length === 2);
    await broker.stopBroker(0);
    const recovery = await broker.startBroker(0, { hold: 'empty' });
    await doubts.more(4);
    await recovery.release('replay');
    await recovery.release('not-leading');
    await recovery.release();
    for (const partition of [0, 1])
      await eventually('a publish', () => client.publish('orders', 'after', { partition }).then(() => true));
    await eventually('what came after', () => one.values.includes('after') && all.values.length >= 4);
    await client.close();
    expect([await one.ended, await all.ended]).toEqual(['ended', 'ended']);
  });

  it.each<[string, (client: Client) => Promise<unknown>]>([
    ['subscribe', (client) => client.subscribe('orders')],
    ["subscribe with partition 'all'", (client) => client.subscribe('orders', { partition: 'all' })],
    ['subscribe to a stream never seen', (client) => client.subscribe('created-by-another-client')],
    ['fetchMetadata of a stream', (client) => client.fetchMetadata({ streams: ['orders'] }).then(hasOrders)],
    ['fetchMetadata', (client) => client.fetchMetadata().then(hasOrders)],
    ['fetchPartitionMetadata', (client) => client.fetchPartitionMetadata('orders', 1)],
    ['pauseStream', (client) => client.pauseStream('orders')],
    ['setStreamReadonly', (client) => client.setStreamReadonly('orders')],
    ['setCursor', (client) => client.setCursor('reader', 'orders', 0, 5n)],
    ['fetchCursor', (client) => client.fetchCursor('reader', 'orders', 0)],
  ])('makes %s retry until the broker knows the stream', async (_call, call) => {
    const { broker, client, doubts } = await start({ requestTimeout: 30_000 });
    const other = closing(await connect(broker.addresses));
    await other.createStream('created-by-another-client', 'created-by-another-client');
    await broker.stopBroker(0);
    const recovery = await broker.startBroker(0, { hold: 'empty' });
    await eventually('that the client is connected again', () => client.ping().then(() => true));
    let phase: RecoveryPhase | null = null;
    const done = call(client).finally(() => {
      phase = recovery.phase;
    });
    done.catch(() => undefined);
    await doubts.more(2);
    expect(phase).toBeNull();
    await recovery.release();
    await done;
    expect(phase).toBe('ready');
  });
});

function hasOrders({ streams }: { streams: ReadonlyMap<string, unknown> }): void {
  expect([...streams.keys()]).toContain('orders');
}

describe('a certain "unknown" response', () => {
  it('ends a subscription immediately when the stream is deleted while the client is connected', async () => {
    const { broker, client } = await start();
    const reading = read(await client.subscribe('orders'));
    const other = closing(await connect(broker.addresses));
    await other.deleteStream('orders');
    expect(await reading.ended).toMatchObject({ code: 'STREAM_DELETED', stream: 'orders' });
  });

  it('ends a subscription after resubscribeTimeout when no broker knows the stream', async () => {
    // Long enough to reach the broker again on a busy machine.
    const { broker, client } = await start({ resubscribeTimeout: 5_000 });
    const reading = read(await client.subscribe('orders'));
    await broker.stopBroker(0);
    await broker.startBroker(0, { hold: 'empty' });
    expect(await reading.ended).toMatchObject({ code: 'STREAM_DELETED', stream: 'orders' });
  });

  it('is accepted for a name that no broker ever knew', async () => {
    const { client } = await start();
    await expect(client.subscribe('ordres')).rejects.toMatchObject({ code: 'NO_SUCH_STREAM', stream: 'ordres' });
    await expect(client.fetchPartitionMetadata('ordres', 0)).rejects.toMatchObject({ code: 'NO_SUCH_STREAM' });
    await expect(client.fetchPartitionMetadata('orders', 2)).rejects.toMatchObject({ code: 'NO_SUCH_PARTITION' });
    await expect(client.pauseStream('orders', { partitions: [2] })).rejects.toMatchObject({
      code: 'NO_SUCH_PARTITION',
    });
    await expect(client.pauseStream('ordres')).rejects.toMatchObject({ code: 'NO_SUCH_PARTITION' });
  });

  it('makes setCursor reject when cursors are disabled on the server', async () => {
    const broker = closing(await TestBroker.start({ cursorsPartitions: 0 }));
    const client = closing(await connect(broker.addresses));
    await client.createStream('orders', 'orders');
    await expect(client.setCursor('reader', 'orders', 0, 1n)).rejects.toMatchObject({ code: 'CURSORS_DISABLED' });
  });

  it('is awaited until the timeout, and not longer', async () => {
    const { broker, client } = await start();
    await broker.stopBroker(0);
    await broker.startBroker(0, { hold: 'empty' });
    const late = { code: 'TIMEOUT', retryable: true };
    const waiting = [
      client.subscribe('orders', { timeout: 400 }),
      client.subscribe('ordres', { timeout: 400 }),
      client.fetchPartitionMetadata('orders', 0, { timeout: 400 }),
      client.fetchCursor('reader', 'orders', 0, { timeout: 400 }),
      client.fetchMetadata({ streams: ['orders'], timeout: 400 }),
    ];
    const outcomes = await Promise.allSettled<unknown>(waiting);
    expect(outcomes).toMatchObject(waiting.map(() => ({ status: 'rejected', reason: late })));
  });
});

describe('an incomplete list of brokers', () => {
  /** Two brokers; the leader of "orders" is the second. */
  async function pair(): Promise<[StubServer, StubServer]> {
    const both = [closing(await stub('one')), closing(await stub('two'))] as const;
    for (const { server } of both) server.streams.set('orders', { partitions: [{ leader: 'two' }] });
    return [both[0].server, both[1].server];
  }

  async function stub(id: string): Promise<{ server: StubServer; close(): Promise<void> }> {
    const server = await StubServer.start(id);
    server.on('fetchPartitionMetadata', () => ({ answer: { metadata: undefined } as never }));
    return { server, close: () => server.stop() };
  }

  it('does not hide a leader that was advertised before', async () => {
    const [one, two] = await pair();
    one.brokers = [...one.brokers, ...two.brokers];
    const client = closing(await connect(one.address));
    one.brokers = one.brokers.slice(0, 1);
    two.brokers = one.brokers; // both return the same list
    const { streams, brokers } = await client.fetchMetadata({ streams: ['orders'] });
    expect([...brokers.keys()]).toEqual(['one']);
    expect(streams.get('orders')?.partitions.get(0)?.leader?.id).toBe('two');
    await client.fetchPartitionMetadata('orders', 0).catch(() => undefined);
    expect(two.of('fetchPartitionMetadata')).toHaveLength(1);
  });

  it('does not hide a leader that another seed names', async () => {
    const [one, two] = await pair();
    const client = closing(await connect([one.address, two.address]));
    for (let round = 0; round < 4; round++) {
      const { streams } = await client.fetchMetadata({ streams: ['orders'] });
      expect(streams.get('orders')?.partitions.get(0)?.leader?.id).toBe('two');
    }
    await client.fetchPartitionMetadata('orders', 0).catch(() => undefined);
    expect(two.of('fetchPartitionMetadata').length).toBeGreaterThan(0);
  });
});

describe('a stream that another client creates again with other partitions', () => {
  async function recreated(options: ClientOptions): Promise<{ client: Client; partitions: () => number | undefined }> {
    const { broker, client } = await start(options);
    const other = closing(await connect(broker.addresses));
    await other.deleteStream('orders');
    await other.createStream('orders', 'orders', { partitions: 6 });
    return { client, partitions: () => client.metadata.streams.get('orders')?.partitions.size };
  }

  it('is detected after metadataMaxAge at the latest', async () => {
    const { client, partitions } = await recreated({ metadataMaxAge: 50 });
    await eventually('the new number of partitions', async () => {
      await client.publish('orders', 'x', { ackPolicy: 'none' });
      return partitions() === 6;
    });
  });

  it('is detected by the first ack whose offset starts again', async () => {
    const { client, partitions } = await recreated({});
    expect(partitions()).toBe(2);
    await client.publish('orders', 'first of the new stream');
    await eventually('the new number of partitions', () => partitions() === 6);
    const used = new Set<string>();
    for (let n = 0; n < 40; n++) {
      const ack = await client.publish('orders', 'x', { key: `k${n}`, partitioner: partitionByKey });
      used.add(ack!.messageSubject);
    }
    expect(used.size).toBe(6);
  });
});
