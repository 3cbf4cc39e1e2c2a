import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Router } from '../../src/cluster/router.js';
import { type Ack, type Client, type ClientOptions, connect, LiftbridgeError } from '../../src/index.js';
import { PublishAsyncError_Code } from '../../src/protocol/generated/api.js';
import { DataSession } from '../../src/transport/duplex.js';
import { eventually } from '../support/eventually.js';
import { type ReceivedPublish, ScriptedCluster } from '../support/scripted-cluster.js';
import { StubServer } from '../support/stub-server.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const NO_NATS = 'failed to publish to NATS: nats: outbound buffer limit exceeded';
/** No test waits for this timeout: a test that reaches it hangs. */
const LONG_MS = 3_600_000;

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
  client = await connect(cluster.addresses, { ackTimeout: LONG_MS, ...options });
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => String(n));
const publish = (value: string) => client.publish('orders', value) as Promise<Ack>;
const outcomeOf = (publishing: Promise<unknown>) => publishing.catch((error: unknown) => error);
const noSuchStream = (received: ReceivedPublish) =>
  received.refuse(PublishAsyncError_Code.NOT_FOUND, 'no such stream: orders');

describe('publishes to a partition whose leader changes', () => {
  it('go to the new leader while acks of the silent old leader are still missing', async () => {
    await start();
    await publish('warm');
    cluster.onPublish = (received) => received.broker === 1 && received.ack();
    const owed = outcomeOf(publish('owed'));
    await eventually('the old leader has it', () => cluster.values(0, 0).includes('owed'));
    // The client looks up the leader on its own, since acks have stopped.
    const changed = once(client, 'leaderChange');
    cluster.leaders.set('orders', [1, 1]);
    await changed;
    await expect(publish('next')).resolves.toMatchObject({ offset: 1n });
    await expect(owed).resolves.toMatchObject({ code: 'CONNECTION', reason: 'no-leader', outcome: 'unknown' });
    expect(cluster.values(0, 1)).toEqual(['next']);
  });

  it('are no longer acknowledged by the old leader, whose acks may be wrong', async () => {
    await start();
    await publish('warm');
    cluster.onPublish = (received) => received.broker === 1 && received.ack();
    const owed = outcomeOf(publish('owed'));
    await eventually('the old leader has it', () => cluster.values(0, 0).includes('owed'));
    const changed = once(client, 'leaderChange');
    cluster.leaders.set('orders', [1, 1]);
    await changed;
    await publish('next');
    cluster.received.find(({ value }) => value === 'owed')!.ack();
    expect(await owed).toBeInstanceOf(LiftbridgeError);
  });
});

describe('publishes to a partition whose leader is unreachable', () => {
  it('are sent one at a time through another broker until one is acknowledged', async () => {
    await start();
    await publish('warm');
    cluster.onPublish = () => undefined;
    const noticed = once(client, 'disconnect');
    await cluster.stop(0);
    await noticed;
    const all = numbers(200).map(publish);
    const outcomes = Promise.allSettled(all);
    // A publish without an ack is lost, so the client tries only a few.
    await eventually('some were tried', () => cluster.values(0, 1).length >= 3);
    expect(cluster.values(0, 1).length).toBeLessThan(200);
    cluster.onPublish = (received) => received.ack();
    const results = await outcomes;
    const stored = results.filter(({ status }) => status === 'fulfilled').length;
    const lost = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    for (const error of lost)
      expect(error).toMatchObject({ code: 'CONNECTION', reason: 'no-leader', outcome: 'unknown' });
    expect(stored + lost.length).toBe(200);
    expect(stored).toBeGreaterThan(lost.length);
    expect(cluster.values(0, 1)).toEqual(numbers(200));
  });

  it('are not sent one at a time when they wait for the acks of all replicas', async () => {
    await start();
    await publish('warm');
    cluster.onPublish = () => undefined;
    const noticed = once(client, 'disconnect');
    await cluster.stop(0);
    await noticed;
    const all = numbers(10).map((value) => client.publish('orders', value, { ackPolicy: 'all' }));
    for (const one of all) one.catch(() => undefined); // no replica acknowledges them: closing the client ends them
    const leader = publish('leader');
    // They are sent in one write, before the publish that soon shows whether a leader exists.
    const first = await eventually('something was tried', () => cluster.values(0, 1).length || undefined);
    expect(first).toBe(10);
    cluster.onPublish = (received) => received.ack();
    await expect(leader).resolves.toMatchObject({ error: 'ok' });
  });
});

describe('publishes that a recovering broker rejects', () => {
  it('are kept and retried in order while the cluster knows the stream', async () => {
    await start();
    await publish('warm');
    const isRecovering = () => cluster.values().filter((value) => value === '0').length < 4;
    cluster.onPublish = (received) => (isRecovering() ? noSuchStream(received) : received.ack());
    const acks = await Promise.all(numbers(50).map(publish));
    expect(acks.map(({ offset }) => Number(offset))).toEqual(numbers(50).map((n) => Number(n) + 1));
    expect(new Set(cluster.received.map(({ broker }) => broker))).toEqual(new Set([0, 1]));
  });

  it('reject after their timeout with the cause, and report that nothing was stored', async () => {
    await start();
    await publish('warm');
    cluster.onPublish = noSuchStream;
    await expect(client.publish('orders', 'x', { timeout: 300 })).rejects.toMatchObject({
      code: 'ACK_TIMEOUT',
      message: expect.stringContaining('Nothing was stored'),
      cause: expect.objectContaining({ code: 'NO_SUCH_STREAM' }),
    });
  });

  it('reject with NO_SUCH_STREAM when it is certain that the stream no longer exists', async () => {
    await start();
    await publish('warm');
    cluster.onPublish = noSuchStream;
    cluster.leaders.delete('orders');
    await expect(publish('x')).rejects.toMatchObject({ code: 'NO_SUCH_STREAM', stream: 'orders' });
  });

  it('depend on the cluster to decide whether the stream still exists', async () => {
    await start();
    await publish('warm');
    cluster.onPublish = noSuchStream;
    const decide = vi.spyOn(Router.prototype, 'existence').mockResolvedValue('gone');
    try {
      await expect(publish('x')).rejects.toMatchObject({ code: 'NO_SUCH_STREAM', stream: 'orders' });
    } finally {
      decide.mockRestore();
    }
  });

  it('reject with NO_SUCH_PARTITION immediately for a partition that the stream never had', async () => {
    await start();
    cluster.onPublish = (received) => received.refuse(PublishAsyncError_Code.NOT_FOUND, 'no such partition: 7');
    await expect(client.publish('orders', 'x', { partition: 7 })).rejects.toMatchObject({ code: 'NO_SUCH_PARTITION' });
    expect(cluster.received).toHaveLength(1);
  });

  it('are kept while NATS is down', async () => {
    await start();
    await publish('warm');
    let refusals = 0;
    cluster.onPublish = (received) =>
      refusals++ < 6 ? received.refuse(PublishAsyncError_Code.INTERNAL, NO_NATS) : received.ack();
    await expect(publish('x')).resolves.toMatchObject({ offset: 1n });
    refusals = Number.NEGATIVE_INFINITY;
    await expect(client.publish('orders', 'y', { timeout: 300 })).rejects.toMatchObject({
      code: 'ACK_TIMEOUT',
      retryable: true,
      message: expect.stringContaining('Nothing was stored'),
      cause: expect.objectContaining({ code: 'SERVER', retryable: true, text: NO_NATS }),
    });
  });

  it('are not retried after a later publish was stored', async () => {
    await start();
    await publish('warm');
    cluster.onPublish = (received) => (received.value === 'early' ? noSuchStream(received) : received.ack());
    const early = outcomeOf(publish('early'));
    await expect(publish('late')).resolves.toMatchObject({ offset: 1n });
    expect(await early).toMatchObject({
      code: 'CONNECTION',
      outcome: 'not-sent',
      retryable: true,
      cause: expect.objectContaining({ code: 'NO_SUCH_STREAM' }),
    });
    await publish('after');
    expect(cluster.values()).toEqual(['warm', 'early', 'late', 'after']);
  });
});

describe('publishToSubject', () => {
  it('is retried within its timeout while brokers have no connection to NATS', async () => {
    await start();
    const stub = await StubServer.start();
    const other = await connect(stub.address, { retry: { maxDelay: 50 } });
    try {
      stub.on('publishToSubject', (_request, call) =>
        call < 8 ? { fail: 'UNKNOWN', details: NO_NATS } : { answer: {} },
      );
      await expect(other.publishToSubject('a', 'x', { timeout: LONG_MS })).resolves.toBeNull();
      stub.on('publishToSubject', () => ({ fail: 'UNKNOWN', details: NO_NATS }));
      const failing = other.publishToSubject('a', 'x', { timeout: 600 });
      await expect(failing).rejects.toMatchObject({ retryable: true });
    } finally {
      await other.close();
      await stub.stop();
    }
  });
});

describe('publishes on a connection that the network dropped silently', () => {
  it('reject soon regardless of their timeout, and later publishes are stored', async () => {
    cluster.leaders.set('orders', [0]);
    const proxy = await TcpProxy.start(cluster.addresses[0]!);
    const resolveBroker = ({ port }: { port: number }) =>
      cluster.addresses[0] === `127.0.0.1:${port}` ? proxy.address : `127.0.0.1:${port}`;
    await start({ resolveBroker });
    try {
      await publish('warm');
      proxy.forget();
      await expect(publish('owed')).rejects.toMatchObject({ code: 'CONNECTION', reason: 'lost', outcome: 'unknown' });
      await expect(publish('next')).resolves.toMatchObject({ offset: 1n });
    } finally {
      await client.close({ timeout: 100 });
      await proxy.close();
    }
  });

  it('cause a connection check when acks stop arriving, long before their timeout', async () => {
    await start();
    await publish('warm');
    cluster.onPublish = () => undefined;
    const check = vi.spyOn(DataSession.prototype, 'checkLiveness');
    try {
      const owed = outcomeOf(publish('owed'));
      await eventually('the connection is checked', () => check.mock.calls.length > 0);
      for (const received of cluster.received) if (received.value === 'owed') received.ack();
      expect(await owed).toMatchObject({ offset: 1n });
    } finally {
      check.mockRestore();
    }
  });

  it('cause a connection check when one is not acknowledged in time', async () => {
    await start();
    await publish('warm');
    cluster.onPublish = () => undefined;
    const check = vi.spyOn(DataSession.prototype, 'checkLiveness');
    try {
      await outcomeOf(client.publish('orders', 'x', { timeout: 100 }));
      expect(check).toHaveBeenCalled();
    } finally {
      check.mockRestore();
    }
  });
});

describe('publishes to a broker that does not respond', () => {
  it('do not exceed the window: the rest expires in the queue as not sent', async () => {
    await start({ maxInFlight: { messages: 10 } });
    await publish('warm');
    cluster.onPublish = () => undefined;
    const outcomes = await Promise.allSettled(numbers(50).map((n) => client.publish('orders', n, { timeout: 400 })));
    const errors = outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason as LiftbridgeError);
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['ACK_TIMEOUT']));
    expect(cluster.values()).toEqual(['warm', ...numbers(10)]);
    expect(errors.filter(({ message }) => message.includes('Nothing was stored'))).toHaveLength(40);
  });
});
