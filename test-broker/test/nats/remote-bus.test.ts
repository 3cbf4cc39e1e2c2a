import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { closing } from '../../../test/support/closing.js';
import { BusError, type BusMessage } from '../../src/nats/bus.js';
import { NatsListener } from '../../src/nats/listener.js';
import { MemoryBus } from '../../src/nats/memory-bus.js';
import { natsAddress } from '../../src/nats/nats-address.js';
import { RemoteBus, type RemoteBusOptions } from '../../src/nats/remote-bus.js';
import { connectionName } from '../../src/nats/remote-connection.js';
import { NATS_SERVER, RealNatsServer } from './nats-server.js';
import { RawClient } from './raw-client.js';

const CLOSED = new BusError('nats: connection closed');

interface Server {
  readonly port: number;
  readonly url: string;
  stop(): Promise<void>;
}

async function startListener(port = 0): Promise<Server> {
  const listener = await NatsListener.start({ bus: new MemoryBus(), port, host: '127.0.0.1' });
  return { port: listener.port, url: listener.url, stop: () => listener.close() };
}

const servers = [
  { name: 'the embedded listener', skip: false, start: startListener },
  {
    name: 'nats-server (skipped where it is not installed)',
    skip: NATS_SERVER === null,
    start: (port?: number): Promise<Server> => RealNatsServer.start(port),
  },
];

for (const { name, skip, start } of servers) {
  describe.skipIf(skip)(`RemoteBus on ${name}`, () => {
    let server: Server;
    const buses: RemoteBus[] = [];
    const errors: unknown[] = [];

    async function connect(options: RemoteBusOptions = {}): Promise<RemoteBus> {
      const bus = await RemoteBus.connect(server.url, {
        reconnectWait: 20,
        onError: (error) => errors.push(error),
        ...options,
      });
      buses.push(bus);
      return bus;
    }

    /** The first messages on a subject, once that many have arrived. */
    function take(bus: RemoteBus, subject: string, count: number): Promise<BusMessage[]> {
      return new Promise((resolve) => {
        const messages: BusMessage[] = [];
        bus.subscribe(subject, (message) => {
          messages.push(message);
          if (messages.length === count) resolve(messages);
        });
      });
    }

    beforeEach(async () => {
      server = await start();
      errors.length = 0;
    });

    afterEach(async () => {
      for (const bus of buses.splice(0)) await bus.close();
      await server.stop();
    });

    test('delivers to others and to itself, in order', async () => {
      const [one, two] = [await connect(), await connect()];
      const there = take(two, 'foo.*', 1_000);
      const here = take(one, 'foo.a', 1_000);
      await Promise.all([one.flush(), two.flush()]);
      for (let number = 0; number < 1_000; number++) one.publish('foo.a', Buffer.from(`${number}`), 'inbox');
      const expected = Array.from({ length: 1_000 }, (_, number) => `${number}`);
      expect((await there).map(({ data }) => data.toString())).toEqual(expected);
      expect((await here).map(({ data }) => data.toString())).toEqual(expected);
      expect((await here)[0]).toMatchObject({ subject: 'foo.a', reply: 'inbox' });
      expect(Buffer.isBuffer((await here)[0]?.data)).toBe(true);
      expect(errors).toEqual([]);
    });

    test('gives each message to one member of a queue group', async () => {
      const [one, two] = [await connect(), await connect()];
      const counts = [0, 0];
      one.subscribe('jobs', () => counts[0]!++, { queue: 'q' });
      two.subscribe('jobs', () => counts[1]!++, { queue: 'q' });
      await Promise.all([one.flush(), two.flush()]);
      for (let job = 0; job < 200; job++) one.publish('jobs', Buffer.alloc(0));
      await one.flush();
      await two.flush();
      expect(counts[0]! + counts[1]!).toBe(200);
      expect(Math.min(...counts)).toBeGreaterThan(30);
    });

    test('forwards headers unchanged', async () => {
      const bus = await connect();
      const received = take(bus, 'foo', 2);
      await bus.flush();
      const block = 'NATS/1.0\r\nColor: red\r\nColor: blue\r\n\r\n';
      const raw = closing(await RawClient.connect(server.port));
      raw.send('CONNECT {"verbose":false,"headers":true}\r\n');
      raw.send(`HPUB foo ${block.length} ${block.length + 2}\r\n${block}hi\r\nPUB foo 2\r\nho\r\n`);
      const [with_, without] = await received;
      expect([with_?.headers?.toString(), with_?.data.toString()]).toEqual([block, 'hi']);
      expect([without?.headers, without?.data.toString()]).toEqual([undefined, 'ho']);
    });

    test('splits a subject with a space, and reports one that NATS cannot read', async () => {
      const bus = await connect();
      const received = take(bus, 'a', 1);
      bus.publish('a b c', Buffer.from('lost'));
      bus.publish('a b', Buffer.from('v'));
      expect((await received)[0]).toMatchObject({ subject: 'a', reply: 'b' });
      expect(errors.map(String)).toEqual(['Error: message lost: NATS cannot read the subject "a b c"']);
    });

    test('rejects the same calls as NATS, with its texts', async () => {
      const bus = await connect();
      expect(bus.maxPayload).toBe(1_048_576);
      expect(() => bus.publish('', Buffer.alloc(0))).toThrow(new BusError('nats: invalid subject'));
      expect(() => bus.publish('a', Buffer.alloc(1_048_577))).toThrow(new BusError('nats: maximum payload exceeded'));
      expect(() => bus.subscribe('foo.>.1', () => {})).toThrow(new BusError('nats: invalid subject'));
      expect(() => bus.subscribe('a', () => {}, { queue: 'b c' })).toThrow(new BusError('nats: invalid queue name'));
      await bus.flush();
    });

    test('reports a handler that throws and continues', async () => {
      const bus = await connect();
      const failure = new Error('broken handler');
      bus.subscribe('a', () => {
        throw failure;
      });
      const received = take(bus, 'a', 2);
      bus.publish('a', Buffer.from('1'));
      bus.publish('a', Buffer.from('2'));
      await received;
      expect(errors).toEqual([failure, failure]);
    });

    test('receives nothing after unsubscribe, which may be called twice', async () => {
      const bus = await connect();
      const heard: string[] = [];
      const standing = bus.subscribe('a', ({ data }) => heard.push(data.toString()));
      bus.publish('a', Buffer.from('1'));
      await bus.flush();
      standing.unsubscribe();
      standing.unsubscribe();
      bus.publish('a', Buffer.from('2'));
      await bus.flush();
      expect(heard).toEqual(['1']);
    });

    test('close sends pending messages first; then every call is rejected', async () => {
      const [bus, other] = [await connect(), await connect()];
      const received = take(other, 'a', 1);
      await other.flush();
      bus.publish('a', Buffer.from('last'));
      await bus.close();
      await bus.close();
      expect((await received)[0]?.data.toString()).toBe('last');
      expect(() => bus.publish('a', Buffer.alloc(0))).toThrow(CLOSED);
      expect(() => bus.subscribe('a', () => {})).toThrow(CLOSED);
      await expect(bus.flush()).rejects.toThrow(CLOSED);
    });

    test('keeps messages published while the connection is lost, in order, and its subscriptions', async () => {
      const bus = await connect();
      const heard: string[] = [];
      bus.subscribe('a', ({ data }) => heard.push(data.toString()));
      await bus.flush();
      await server.stop();
      await disconnected(bus);
      for (const value of '12345') bus.publish('a', Buffer.from(value));
      const late = take(bus, 'late', 1);
      bus.publish('late', Buffer.from('6'));
      const flushed = bus.flush();
      server = await start(server.port);
      await flushed;
      await bus.flush();
      expect(heard).toEqual([...'12345']);
      expect((await late)[0]?.data.toString()).toBe('6');
      expect(errors).toEqual([]);
    });

    test('keeps no more messages than its buffer holds while the connection is lost', async () => {
      const bus = await connect({ reconnectBuffer: 10 });
      await server.stop();
      await disconnected(bus);
      bus.publish('a', Buffer.alloc(10));
      expect(() => bus.publish('a', Buffer.alloc(1))).toThrow('nats: outbound buffer limit exceeded');
    });

    test('closes the connection, and reports the lost messages, when the server does not return', async () => {
      const bus = await connect({ maxReconnectAttempts: 3 });
      await server.stop();
      await disconnected(bus);
      bus.publish('a', Buffer.alloc(10));
      await expect(bus.flush()).rejects.toThrow(CLOSED);
      expect(() => bus.publish('a', Buffer.alloc(0))).toThrow(CLOSED);
      expect(errors.map(String)).toContain('Error: 1 messages lost: the connection to NATS could not be restored');
    });
  });
}

/** Resolves when the bus has noticed that its server is gone: from then on it buffers publishes. */
async function disconnected(bus: RemoteBus): Promise<void> {
  while (bus.connected) await new Promise((resolve) => setImmediate(resolve));
}

describe('RemoteBus.connect', () => {
  test('rejects when no server listens', async () => {
    // No process listens on port 1: only the system may.
    await expect(RemoteBus.connect('nats://127.0.0.1:1')).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' });
  });

  test('rejects an invalid NATS address', async () => {
    await expect(RemoteBus.connect('http://localhost')).rejects.toThrow(
      'expected a NATS address such as nats://localhost:4222, got "http://localhost"',
    );
  });

  test('sends the connection name and the credentials of the address to the server', async () => {
    const server = closing(createServer()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const connecting = RemoteBus.connect(`nats://joe:s%40cret@127.0.0.1:${port}`, {
      name: connectionName('liftbridge-default', 'a'),
    });
    const [socket] = (await once(server, 'connection')) as [Socket];
    socket.write('INFO {"server_id":"N","version":"2.9.0","max_payload":100,"proto":1,"headers":true}\r\n');
    const [chunk] = await once(socket, 'data');
    expect(JSON.parse(String(chunk).split('\r\n')[0]!.slice('CONNECT '.length))).toMatchObject({
      name: 'LIFT.liftbridge-default.a.streams',
      user: 'joe',
      pass: 's@cret',
    });
    socket.write('PONG\r\n');
    const bus = closing(await connecting);
    expect(bus.maxPayload).toBe(100);
    socket.on('data', () => socket.write('PONG\r\n'));
    await bus.close();
  });
});

describe('natsAddress', () => {
  test.each([
    ['nats://localhost', { servers: ['localhost:4222'] }],
    ['localhost:4333', { servers: ['localhost:4333'] }],
    ['nats://[::1]:4222', { servers: ['[::1]:4222'] }],
    ['nats://token@h:1', { servers: ['h:1'], token: 'token' }],
    ['nats://a:1, nats://u:p@b:2', { servers: ['a:1', 'b:2'], user: 'u', pass: 'p' }],
    ['tls://h', { servers: ['h:4222'], tls: {} }],
  ])('reads %s', (given, expected) => expect(natsAddress(given)).toEqual(expected));

  test.each(['', 'nats://', 'http://h', 'nats://a,ftp://b', 'nats://h:x'])('rejects %j', (given) => {
    expect(() => natsAddress(given)).toThrow(TypeError);
  });
});
