import { decodeMessage, encodeAck } from 'liftbridge-client/envelope';
import {
  type Ack,
  ConnectionError,
  MessageTooLargeError,
  natsPublisher,
  PermissionDeniedError,
} from 'liftbridge-client/nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { closing } from '../support/closing.js';
import {
  natsServerPath,
  packages,
  type RunningServer,
  startListener,
  startNatsServer,
  type TestConnection,
} from './nats-servers.js';

// Long timeout: a test that reaches it hangs.
const HOUR = 3_600_000;

const servers = [
  ['the embedded listener', startListener, false],
  ['nats-server', startNatsServer, natsServerPath === null],
] as const;

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

/** Replaces the streams of a broker: acknowledges every enveloped message on the subject, in its own order. */
function answer(connection: TestConnection, subject: string, stream: string): void {
  let offset = 0n;
  const callback = (
    _error: Error | null,
    { subject: messageSubject, data }: { subject: string; data: Uint8Array },
  ): void => {
    const { ackInbox, correlationId, ackPolicy } = decodeMessage(data);
    if (ackInbox === '') return;
    const ack = {
      stream,
      partitionSubject: subject,
      messageSubject,
      offset: offset++,
      ackInbox,
      correlationId,
      ackPolicy,
    };
    connection.publish(ackInbox, encodeAck(ack));
  };
  connection.subscribe(subject, { callback });
}

for (const [serverName, start, missing] of servers) {
  describe.skipIf(missing).each(packages)(`natsPublisher over %s on ${serverName}`, (_package, connect) => {
    let server: RunningServer;
    let connection: TestConnection;
    let streams: TestConnection;
    const open: TestConnection[] = [];

    beforeAll(async () => {
      server = await start();
      streams = await connect({ servers: server.url });
      answer(streams, 'orders.*', 'orders');
      answer(streams, 'orders.eu', 'orders-eu');
      await streams.flush();
    });
    afterEach(async () => {
      for (const each of open.splice(0)) await each.close();
    });
    afterAll(async () => {
      await streams.close();
      await server.stop();
    });
    const dial = async (): Promise<TestConnection> => {
      connection = await connect({ servers: server.url });
      open.push(connection);
      return connection;
    };

    it('pipelines publishes, and each one resolves with its own ack', async () => {
      const publisher = natsPublisher(await dial(), { maxInFlight: { messages: 64 } });
      const publishes: Promise<Ack[]>[] = [];
      for (let n = 0; n < 2000; n++) publishes.push(publisher.publish('orders.us', `order ${n}`, { key: String(n) }));
      const acks = (await Promise.all(publishes)).flat();
      const first = acks[0]!.offset;
      expect(acks.map((ack) => ack.offset - first)).toEqual(Array.from({ length: 2000 }, (_, n) => BigInt(n)));
      await publisher.close();
      expect(connection.isClosed()).toBe(false);
    });

    it('collects the acks of every stream on the subject', async () => {
      const publisher = natsPublisher(await dial());
      const acks = await publisher.publish('orders.eu', 'v', { acks: 2 });
      expect(acks.map((ack) => ack.stream).sort()).toEqual(['orders', 'orders-eu']);
      await publisher.close();
    });

    it('rejects messages that the server would refuse', async () => {
      const publisher = natsPublisher(await dial());
      expect(await failure(publisher.publish('orders.us', Buffer.alloc(1024 * 1024)))).toBeInstanceOf(
        MessageTooLargeError,
      );
      expect(await publisher.publish('orders.us', Buffer.alloc(1000 * 1024))).toHaveLength(1);
    });

    it('settles all publishes when the connection is closed', async () => {
      const publisher = natsPublisher(await dial());
      const lost = failure(publisher.publish('no.listener', 'v'));
      await connection.flush();
      await connection.close();
      expect(await lost).toBeInstanceOf(ConnectionError);
      expect(await lost).toMatchObject({ outcome: 'unknown' });
      await publisher.close();
    });

    it('settles all publishes when the connection is drained', async () => {
      const publisher = natsPublisher(await dial());
      const lost = failure(publisher.publish('no.listener', 'v'));
      const drained = connection.drain();
      expect(await failure(publisher.publish('orders.us', 'v'))).toBeInstanceOf(ConnectionError);
      await drained;
      expect(await lost).toMatchObject({ code: 'CONNECTION', outcome: 'unknown' });
    });

    it('cannot be created on a closed connection', async () => {
      await (await dial()).close();
      expect(() => natsPublisher(connection)).toThrow(ConnectionError);
    });
  });
}

describe.skipIf(natsServerPath === null).each(packages)('natsPublisher over %s', (_package, connect) => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startNatsServer(`
      max_payload: 2048
      authorization: {
        users: [
          { user: narrow, password: x, permissions: { publish: ["orders.>"], subscribe: ["narrow.>"] } }
          { user: wide, password: x }
        ]
      }`);
  });
  afterAll(() => server.stop());

  it('fails a publish immediately when the server denies it, with or without an ack', async () => {
    const connection = closing(await connect({ servers: server.url, user: 'narrow', pass: 'x' }));
    const publisher = natsPublisher(connection, { inboxPrefix: 'narrow.inbox', timeout: HOUR });
    expect(await failure(publisher.publish('secrets', 'v'))).toBeInstanceOf(PermissionDeniedError);
    const silent = publisher.publish('secrets', 'v', { ackPolicy: 'none' });
    expect(await failure(silent)).toBeInstanceOf(PermissionDeniedError);
  });

  it('fails publishes when the server denies its inbox, and names the option to set', async () => {
    const connection = closing(await connect({ servers: server.url, user: 'narrow', pass: 'x' }));
    const publisher = natsPublisher(connection, { timeout: HOUR });
    const error = await failure(publisher.publish('orders.us', 'v'));
    expect(error).toBeInstanceOf(PermissionDeniedError);
    expect((error as Error).message).toContain('inboxPrefix');
  });

  it('uses the max_payload that the server announces', async () => {
    const connection = closing(await connect({ servers: server.url, user: 'wide', pass: 'x' }));
    const publisher = natsPublisher(connection);
    expect(await failure(publisher.publish('orders.us', Buffer.alloc(2048)))).toMatchObject({
      code: 'MESSAGE_TOO_LARGE',
    });
    expect(await publisher.publish('orders.us', Buffer.alloc(1900), { ackPolicy: 'none' })).toEqual([]);
  });

  it('fails the publishes in flight when the server stops, without waiting for the timeout', async () => {
    const mortal = await startNatsServer();
    closing({ close: () => mortal.stop() });
    const connection = closing(await connect({ servers: mortal.url, reconnectTimeWait: 20 }));
    const publisher = natsPublisher(connection, { timeout: HOUR });
    const lost = failure(publisher.publish('orders.us', 'v'));
    await connection.flush();
    await mortal.stop();
    expect(await lost).toMatchObject({ code: 'CONNECTION', outcome: 'unknown' });
  });

  it('publishes again, in order, when the server is back', async () => {
    const first = await startNatsServer();
    closing({ close: () => first.stop() });
    const connection = closing(await connect({ servers: first.url, reconnectTimeWait: 20 }));
    answer(connection, 'orders.*', 'orders');
    const publisher = natsPublisher(connection, { timeout: HOUR });
    expect(await publisher.publish('orders.us', 'before')).toMatchObject([{ offset: 0n }]);
    await first.stop();
    await expect.poll(() => connection.info).toBeUndefined();
    const publishes = ['a', 'b', 'c'].map((value) => publisher.publish('orders.us', value));
    const second = await startNatsServer('', Number(new URL(first.url).port));
    closing({ close: () => second.stop() });
    const acks = (await Promise.all(publishes)).flat();
    expect(acks.map((ack) => ack.offset)).toEqual([1n, 2n, 3n]);
    await publisher.close();
  });
});
