import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { closing } from '../../../test/support/closing.js';
import { MovableClock } from '../../src/clock.js';
import { NatsListener } from '../../src/nats/listener.js';
import { MemoryBus } from '../../src/nats/memory-bus.js';
import { EXCHANGES } from './exchanges.js';
import { NATS_SERVER, RealNatsServer } from './nats-server.js';
import { exchange, RawClient } from './raw-client.js';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

let bus: MemoryBus;
let listener: NatsListener;
const clients: RawClient[] = [];

async function client(script = ''): Promise<RawClient> {
  const connected = await RawClient.connect(listener.port);
  clients.push(connected);
  return script === '' ? connected : connected.send(script);
}

/** A client. When this resolves, the server has handled its script. */
async function settled(script: string): Promise<RawClient> {
  const connected = await client(`CONNECT {"verbose":false,"headers":true}\r\n${script}PING\r\n`);
  await connected.until((text) => text.endsWith('PONG\r\n'));
  return connected;
}

async function vanished(): Promise<void> {
  while (listener.connections > 0) await turn();
}

beforeEach(async () => {
  bus = new MemoryBus();
  listener = await NatsListener.start({ bus, port: 0, host: '127.0.0.1' });
});

afterEach(async () => {
  for (const connected of clients.splice(0)) connected.close();
  await listener.close();
});

describe('NatsListener', () => {
  test('sends INFO first', async () => {
    const first = await client();
    const second = await client();
    expect(first.info).toMatchObject({
      proto: 1,
      host: '127.0.0.1',
      port: listener.port,
      headers: true,
      max_payload: 1_048_576,
      client_id: 1,
      client_ip: '127.0.0.1',
    });
    expect(first.info.version).toMatch(/^2\.10\.\d+$/);
    expect(first.info.server_id).toMatch(/^N[A-Z2-7]{55}$/);
    expect(second.info).toMatchObject({ client_id: 2, server_id: first.info.server_id });
    expect(listener.url).toBe(`nats://127.0.0.1:${listener.port}`);
  });

  test('reports the configured name and maximum payload', async () => {
    const options = { bus: new MemoryBus({ maxPayload: 10 }), port: 0, name: 'here' };
    const other = closing(await NatsListener.start(options));
    const connected = closing(await RawClient.connect(other.port));
    expect(connected.info).toMatchObject({ server_name: 'here', max_payload: 10 });
    connected.send('PUB a 11\r\n');
    expect(await connected.until(() => false)).toBe("-ERR 'Maximum Payload Violation'\r\n");
  });

  test('rejects with EADDRINUSE when the port is in use', async () => {
    const taken = NatsListener.start({ bus, port: listener.port, host: '127.0.0.1' });
    await expect(taken).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test.each(EXCHANGES)('responds like nats-server: $name', async ({ script, answer }) => {
    expect(await exchange(listener.port, script)).toBe(answer);
  });

  test('reads commands that arrive byte by byte', async () => {
    const script =
      'CONNECT {"verbose":false,"headers":true}\r\nSUB a.> 1\r\nPUB a.b r 5\r\nhe\r\nl\r\n' +
      'HPUB a.c 12 14\r\nNATS/1.0\r\n\r\nhi\r\nUNSUB 1\r\nPUB a.b 1\r\nx\r\nPING\r\n';
    const connected = await client();
    for (const byte of Buffer.from(script)) {
      connected.send(Buffer.from([byte]));
      await turn();
    }
    expect(await connected.until((text) => text.endsWith('PONG\r\n'))).toBe(
      'MSG a.b 1 r 5\r\nhe\r\nl\r\nHMSG a.c 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPONG\r\n',
    );
  });

  test('delivers between clients, with headers only to clients that support them', async () => {
    const modern = await settled('SUB a 1\r\n');
    const plain = await client('CONNECT {"verbose":false}\r\nSUB a 2\r\nPING\r\n');
    await plain.until((text) => text.endsWith('PONG\r\n'));
    await settled('HPUB a 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\n');
    const expected = 'HMSG a 1 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\n';
    expect(await modern.until((text) => text.endsWith('hi\r\n'))).toBe(`PONG\r\n${expected}`);
    expect(await plain.until((text) => text.endsWith('hi\r\n'))).toBe('PONG\r\nMSG a 2 2\r\nhi\r\n');
  });

  test('delivers messages of clients to the bus, and of the bus to clients', async () => {
    const seen: unknown[] = [];
    bus.subscribe('up', ({ subject, reply, data, headers }) => {
      seen.push([subject, reply, data.toString(), headers?.toString()]);
    });
    const connected = await settled('SUB down 1\r\nPUB up r 2\r\nhi\r\nHPUB up 12 13\r\nNATS/1.0\r\n\r\nx\r\n');
    expect(seen).toEqual([
      ['up', 'r', 'hi', undefined],
      ['up', '', 'x', 'NATS/1.0\r\n\r\n'],
    ]);
    bus.publish('down', Buffer.from('v'), 'back');
    expect(await connected.until((text) => text.endsWith('v\r\n'))).toBe('PONG\r\nMSG down 1 back 1\r\nv\r\n');
  });

  test('distributes the messages of a queue group over clients and brokers', async () => {
    const connected = await settled('SUB jobs workers 1\r\n');
    let here = 0;
    bus.subscribe('jobs', () => here++, { queue: 'workers' });
    for (let job = 0; job < 200; job++) bus.publish('jobs', Buffer.from('j'));
    const there = () => connected.text.split('MSG jobs').length - 1;
    await connected.until(() => here + there() === 200);
    expect(here + there()).toBe(200);
    expect(Math.min(here, there())).toBeGreaterThan(30);
  });

  test('delivers a large payload unchanged', async () => {
    const connected = await settled('SUB big 1\r\n');
    const payload = Buffer.alloc(1_000_000, 'abcdefg');
    await settled(`PUB big ${payload.length}\r\n${payload.toString()}\r\n`);
    bus.publish('big', payload);
    const message = `MSG big 1 ${payload.length}\r\n${payload.toString()}\r\n`;
    const text = await connected.until((sofar) => sofar.length >= 'PONG\r\n'.length + 2 * message.length);
    expect(text === `PONG\r\n${message}${message}`).toBe(true);
  });

  test('sends the output of one turn in one write', async () => {
    const connected = await settled('SUB a 1\r\n');
    const chunks: string[] = [];
    connected.socket.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
    for (const value of '12345') bus.publish('a', Buffer.from(value));
    await connected.until((text) => text.endsWith('5\r\n'));
    expect(chunks).toEqual([[...'12345'].map((value) => `MSG a 1 1\r\n${value}\r\n`).join('')]);
  });

  test('sends a client the reason for the disconnect, even while the client is still sending', async () => {
    const connected = await client('CONNECT {"verbose":false}\r\nPUB a 4000000\r\n');
    for (let part = 0; part < 40; part++) connected.send(Buffer.alloc(100_000));
    expect(await connected.until(() => false)).toBe("-ERR 'Maximum Payload Violation'\r\n");
    await vanished();
  });

  test('can listen on every address, and reports one that can be reached', async () => {
    const open = closing(await NatsListener.start({ bus, port: 0, host: '0.0.0.0' }));
    expect(open.url).toBe(`nats://127.0.0.1:${open.port}`);
    expect(await exchange(open.port, 'PING\r\n')).toBe('PONG\r\n');
  });

  test('disconnects only the client that does not read', async () => {
    const limited = closing(await NatsListener.start({ bus, port: 0, maxPending: 1_000_000 }));
    const lazy = closing(await RawClient.connect(limited.port));
    lazy.send('SUB flood 1\r\nPING\r\n');
    await lazy.until((text) => text.endsWith('PONG\r\n'));
    const reader = await settled('SUB flood 1\r\n');
    lazy.socket.pause();
    const payload = Buffer.alloc(100_000);
    let published = 0;
    for (; limited.connections > 0; published++) {
      bus.publish('flood', payload);
      await turn();
    }
    expect(published).toBeGreaterThan(10);
    expect(bus.publishMessage({ subject: 'flood', reply: '', data: payload }, undefined)).toBe(true);
    await reader.until((text) => text.length > (published + 1) * payload.length);
    expect(reader.hasEnded).toBe(false);
  });

  test('slows down a fast publisher for a slow subscriber, which loses no messages', async () => {
    const limited = closing(await NatsListener.start({ bus, port: 0, maxPending: 4_000_000 }));
    const slow = connect(limited.port, '127.0.0.1');
    closing({ close: () => slow.destroy() });
    const ready = new Promise((resolve) => bus.subscribe('ready', resolve));
    slow.write('CONNECT {"verbose":false}\r\nSUB flood 1\r\nPUB ready 0\r\n\r\n');
    const message = `MSG flood 1 1000\r\n${'x'.repeat(1000)}\r\n`;
    let missing = 40_000 * message.length;
    const all = new Promise<void>((resolve, reject) => {
      slow.once('close', () => reject(new Error(`dropped with ${missing} bytes to come`)));
      slow.on('data', async (chunk: Buffer) => {
        missing -= chunk.toString('latin1').startsWith('INFO') ? 0 : chunk.length;
        if (missing <= 0) resolve();
        slow.pause();
        await turn();
        slow.resume();
      });
    });
    await ready;
    const fast = closing(await RawClient.connect(limited.port));
    fast.send('CONNECT {"verbose":false}\r\n');
    fast.send(`PUB flood 1000\r\n${'x'.repeat(1000)}\r\n`.repeat(40_000));
    await all;
  });

  test('removes the subscriptions of a disconnected client from the bus', async () => {
    const connected = await settled('SUB a 1\r\nSUB b q 2\r\n');
    const message = { subject: 'a', reply: '', data: Buffer.alloc(0) };
    expect(bus.publishMessage(message)).toBe(true);
    connected.close();
    await vanished();
    expect(bus.publishMessage(message)).toBe(false);
    expect(bus.publishMessage({ ...message, subject: 'b' })).toBe(false);
  });

  test('responds to a client that sends its last commands and half-closes', async () => {
    const connected = await client('PING\r\n');
    connected.socket.end('PING\r\n');
    expect(await connected.until(() => false)).toBe('PONG\r\nPONG\r\n');
    await vanished();
  });

  test('keeps serving other clients when one violates the protocol', async () => {
    const other = await settled('SUB a 1\r\n');
    const broken = await client('SUB a 1\r\nGARBAGE\r\n');
    await broken.ended;
    bus.publish('a', Buffer.from('v'));
    expect(await other.until((text) => text.endsWith('v\r\n'))).toContain('MSG a 1 1\r\nv\r\n');
  });

  test('closes every connection on close, and may be closed twice', async () => {
    const connected = await settled('SUB a 1\r\n');
    bus.publish('a', Buffer.from('v'));
    await Promise.all([listener.close(), listener.close()]);
    expect(await connected.until(() => false)).toBe('PONG\r\nMSG a 1 1\r\nv\r\n');
    await connected.ended;
    expect(listener.connections).toBe(0);
  });

  test('closes the connection of a client that publishes after the bus was closed', async () => {
    const connected = await settled('');
    await bus.close();
    connected.send('PUB a 1\r\nx\r\n');
    await connected.ended;
  });
});

describe('NatsListener pings', () => {
  let clock: MovableClock;
  let pinging: NatsListener;

  beforeEach(async () => {
    clock = new MovableClock();
    pinging = await NatsListener.start({ bus, port: 0, clock, pingInterval: 60_000, maxPingsOut: 2 });
  });

  afterEach(async () => {
    await pinging.close();
    clock.stop();
  });

  test('reach an idle client, which stays connected while it responds', async () => {
    const connected = closing(await RawClient.connect(pinging.port));
    for (let pings = 1; pings <= 5; pings++) {
      await clock.advance(75_000);
      await connected.until((text) => text.split('PING').length - 1 === pings);
      connected.send('PONG\r\nPUB heard 0\r\n\r\n');
      await new Promise<void>((resolve) => {
        const standing = bus.subscribe('heard', () => {
          standing.unsubscribe();
          resolve();
        });
      });
    }
    expect(connected.hasEnded).toBe(false);
  });

  test('disconnect a client that does not respond to two of them', async () => {
    const connected = closing(await RawClient.connect(pinging.port));
    await clock.advance(225_000);
    await connected.ended;
    expect(connected.text).toBe("PING\r\nPING\r\n-ERR 'Stale Connection'\r\n");
  });
});

describe.skipIf(NATS_SERVER === null)('nats-server itself (skipped where it is not installed)', () => {
  test('responds with the texts that the listener tests expect', async () => {
    const server = await RealNatsServer.start();
    try {
      for (const { name, script, answer } of EXCHANGES) {
        expect([name, await exchange(server.port, script)]).toEqual([name, answer]);
      }
    } finally {
      await server.stop();
    }
  });
});
