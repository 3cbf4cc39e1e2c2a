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

// A wait for it is a hang.
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

/** Stands in for the streams of a broker: acknowledges every enveloped message on the subject, in its own order. */
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

    it('pipelines, each publish resolving with its own ack', async () => {
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

    it('refuses what the server would not take', async () => {
      const publisher = natsPublisher(await dial());
      expect(await failure(publisher.publish('orders.us', Buffer.alloc(1024 * 1024)))).toBeInstanceOf(
        MessageTooLargeError,
      );
      expect(await publisher.publish('orders.us', Buffer.alloc(1000 * 1024))).toHaveLength(1);
    });

    it('settles everything when the connection is closed', async () => {
      const publisher = natsPublisher(await dial());
      const lost = failure(publisher.publish('nobody.listens', 'v'));
      await connection.flush();
      await connection.close();
      expect(await lost).toBeInstanceOf(ConnectionError);
      expect(await lost).toMatchObject({ outcome: 'unknown' });
      await publisher.close();
    });

    it('settles everything when the connection is drained', async () => {
      const publisher = natsPublisher(await dial());
      const lost = failure(publisher.publish('nobody.listens', 'v'));
      const drained = connection.drain();
      expect(await failure(publisher.publish('orders.us', 'v'))).toBeInstanceOf(ConnectionError);
      await drained;
      expect(await lost).toMatchObject({ code: 'CONNECTION', outcome: 'unknown' });
    });

    it('is refused by a connection that is closed', async () => {
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

  it('fails a publish that the server denies, at once, with or without an ack', async () => {
    const connection = closing(await connect({ servers: server.url, user: 'narrow', pass: 'x' }));
    const publisher = natsPublisher(connection, { inboxPrefix: 'narrow.inbox', timeout: HOUR });
    expect(await failure(publisher.publish('secrets', 'v'))).toBeInstanceOf(PermissionDeniedError);
    const silent = publisher.publish('secrets', 'v', { ackPolicy: 'none' });
    expect(await failure(silent)).toBeInstanceOf(PermissionDeniedError);
  });

  it('fails publishes when the server denies its inbox, naming the option that helps', async () => {
    const connection = closing(await connect({ servers: server.url, user: 'narrow', pass: 'x' }));
    const publisher = natsPublisher(connection, { timeout: HOUR });
    const error = await failure(publisher.publish('orders.us', 'v'));
    expect(error).toBeInstanceOf(PermissionDeniedError);
    expect((error as Error).message).toContain('inboxPrefix');
  });

  it('goes by the max_payload that the server states', async () => {
    const connection = closing(await connect({ servers: server.url, user: 'wide', pass: 'x' }));
    const publisher = natsPublisher(connection);
    expect(await failure(publisher.publish('orders.us', Buffer.alloc(2048)))).toMatchObject({
      code: 'MESSAGE_TOO_LARGE',
    });
    expect(await publisher.publish('orders.us', Buffer.alloc(1900), { ackPolicy: 'none' })).toEqual([]);
  });

  it('fails what is under way when the server dies, without waiting for the timeout', async () => {
    const mortal = await startNatsServer();
    closing({ close: () => mortal.stop() });
    const connection = closing(await connect({ servers: mortal.url, reconnectTimeWait: 20 }));
    const publisher = natsPublisher(connection, { timeout: HOUR });
    const lost = failure(publisher.publish('orders.us', 'v'));
    await connection.flush();
    await mortal.stop();
    expect(await lost).toMatchObject({ code: 'CONNECTION', outcome: 'unknown' });
  });

  it('publishes again, in order, once the server is back', async () => {
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
