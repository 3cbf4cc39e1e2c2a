import { constants } from 'node:http2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, type ClientOptions, connect } from '../../src/index.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { ScriptedCluster } from '../support/scripted-cluster.js';

let cluster: ScriptedCluster;
let client: Client;

beforeEach(async () => {
  cluster = await ScriptedCluster.start(2);
  cluster.leaders.set('orders', [0, 1]);
});

afterEach(async () => {
  await client.close({ timeout: 100 });
  await cluster[Symbol.asyncDispose]();
});

async function start(options: ClientOptions = {}): Promise<void> {
  client = await connect(cluster.addresses, { ackTimeout: 60_000, ...options });
}

/** Publishes, and records when and how the publish ended. */
function publish(value: string, partition = 0) {
  const outcome = { value, settled: false, error: null as unknown, offset: -1n };
  const done = client.publish('orders', value, { partition }).then(
    (ack) => {
      outcome.settled = true;
      outcome.offset = ack!.offset;
    },
    (error: unknown) => {
      outcome.settled = true;
      outcome.error = error;
    },
  );
  return Object.assign(outcome, { done });
}

async function moveLeader(leader: number): Promise<void> {
  cluster.leaders.set('orders', [leader, 1]);
  await client.fetchMetadata({ streams: ['orders'] });
}

describe('the order of publishes to a partition', () => {
  it('is kept across a change of the leader: the new leader gets no publish before those of the old leader are settled', async () => {
    await start();
    await Promise.all([publish('warm').done, publish('warm', 1).done]);
    cluster.onPublish = (received) => received.broker === 1 && received.ack();
    const earlier = [publish('a'), publish('b')];
    await eventually('both are with the old leader', () => cluster.values(0, 0).length === 3);
    await moveLeader(1);
    const unsettled = deferred<number>();
    cluster.onPublish = (received) => {
      // After the others on the same connection the order is also correct: publishes do not overtake there.
      const ahead = received.broker === 0 ? [] : earlier.filter(({ settled }) => !settled);
      if (received.value === 'c') unsettled.resolve(ahead.length);
      received.ack();
    };
    const later = publish('c');
    // The connection to the new leader is open and has accepted later publishes.
    await publish('other partition', 1).done;
    for (const received of cluster.received) if (['a', 'b'].includes(received.value)) received.ack();
    expect(await unsettled.promise).toBe(0);
    await later.done;
    expect(later.error).toBeNull();
  });

  it('sends retried publishes before waiting ones', async () => {
    await start();
    await publish('warm', 1).done;
    // The end of a call without any response may report that nothing was processed.
    cluster.onPublish = (received) => received.broker === 1 && received.ack();
    const earlier = [publish('a'), publish('b')];
    await eventually('both are with the old leader', () => cluster.values(0, 0).length === 2);
    await moveLeader(1);
    const later = publish('c');
    cluster.calls.find(({ broker }) => broker === 0)!.reset();
    await Promise.all([...earlier, later].map(({ done }) => done));
    expect(cluster.values(0, 1)).toEqual(['a', 'b', 'c']);
  });

  it('is kept while a stream is looked up and another lookup finds it first', async () => {
    cluster.leaders.delete('orders');
    cluster.leaders.set('others', [0]);
    await start();
    const lookUp = deferred<void>();
    cluster.onMetadata = (streams) => (streams.includes('orders') ? lookUp.promise : undefined);
    const earlier = publish('a');
    cluster.leaders.set('orders', [0, 1]);
    await client.fetchMetadata();
    expect(client.metadata.streams.has('orders')).toBe(true);
    const later = publish('b');
    // A publish that overtakes would arrive before this one, which uses the same call.
    await client.publish('others', 'x');
    lookUp.resolve();
    await Promise.all([earlier.done, later.done]);
    expect(cluster.values()).toEqual(['x', 'a', 'b']);
  });
});

describe('a publish', () => {
  it('reports its result once when it is aborted before the connection accepts it', async () => {
    await start();
    await publish('warm').done;
    const controller = new AbortController();
    const reason = new Error('enough');
    const calls: unknown[] = [];
    const onAck = (error: unknown) => calls.push(error);
    client.publishAsync('orders', 'x', onAck, { ackPolicy: 'none', signal: controller.signal });
    controller.abort(reason);
    await client.publish('orders', 'y', { ackPolicy: 'none' });
    expect(calls).toEqual([reason]);
  });

  it('is not retried when the end of a call with acks reports that nothing was processed', async () => {
    await start();
    await publish('warm').done;
    cluster.onPublish = () => undefined;
    const lost = publish('x');
    await eventually('it has arrived', () => cluster.values().includes('x'));
    cluster.calls[0]!.reset(constants.NGHTTP2_REFUSED_STREAM);
    await lost.done;
    expect(lost.error).toMatchObject({ code: 'CONNECTION', outcome: 'unknown' });
    cluster.onPublish = (received) => received.ack();
    await publish('y').done;
    expect(cluster.values()).toEqual(['warm', 'x', 'y']);
  });
});
