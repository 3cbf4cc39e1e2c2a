import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { TestBroker } from 'liftbridge-test-broker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, type ClientOptions, connect, LiftbridgeError, toPartition } from '../../src/index.js';
import { PATIENT } from '../support/patient.js';

const PAGE = 'docs/errors.md';

let broker: TestBroker;
let client: Client;
let other: Server;
let elsewhere = '';

beforeAll(async () => {
  broker = await TestBroker.start({ cursorsPartitions: 0 });
  client = await connect(broker.addresses, PATIENT);
  await client.createStream('orders', 'orders');
  await client.createStream('readonly', 'readonly');
  await client.setStreamReadonly('readonly');
  // A service with another protocol, such as NATS on port 4222.
  other = createServer((socket) => socket.on('error', () => undefined).end('INFO {"server_id":"N"}\r\n'));
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  elsewhere = `127.0.0.1:${(other.address() as { port: number }).port}`;
});

afterAll(async () => {
  await client.close();
  await broker.close();
  other.close();
});

const quickly = { connectTimeout: 300 } satisfies ClientOptions;

/** A mistake and the code that makes it. The table shows the code literally. */
const MISTAKES: readonly (readonly [shown: string, make: () => unknown])[] = [
  ["connect('127.0.0.1:1')", () => connect('127.0.0.1:1', quickly)],
  ["connect('127.0.0.1:4222') // NATS", () => connect(elsewhere, quickly)],
  ["connect('http://localhost:9292')", () => connect('http://localhost:9292')],
  [
    "connect('localhost:9292', { tls: true }) // without TLS there",
    () => connect(broker.addresses, { ...quickly, tls: true }),
  ],
  ["connect('a:9292,b:9292')", () => connect('a:9292,b:9292')],
  ["connect('localhost', { timeout: 5_000 })", () => connect('localhost', { timeout: 5_000 } as never)],
  ["connect('localhost', { ackTimeout: '5s' })", () => connect('localhost', { ackTimeout: '5s' } as never)],
  ["createStream('orders', 'orders') // twice", () => client.createStream('orders', 'orders')],
  ["createStream('my orders', 'my orders')", () => client.createStream('my orders', 'my orders')],
  ["createStream('new', 'new', { partitions: 0 })", () => client.createStream('new', 'new', { partitions: 0 })],
  ["publish('order', 'tea') // no such stream", () => client.publish('order', 'tea')],
  ["publish('orders', 'tea', { partition: 3 })", () => client.publish('orders', 'tea', { partition: 3 })],
  ["publish('orders', { tea: 1 })", () => client.publish('orders', { tea: 1 } as never)],
  [
    "publish('orders', 'tea', { headers: { n: 1 } })",
    () => client.publish('orders', 'tea', { headers: { n: 1 as never } }),
  ],
  ["publish('orders', 'tea', { key: 7 })", () => client.publish('orders', 'tea', { key: 7 as never })],
  ["publish('orders', Buffer.alloc(5_000_000))", () => client.publish('orders', Buffer.alloc(5_000_000))],
  [
    "publish('orders', 'tea', { partitioner: toPartition(5) })",
    () => client.publish('orders', 'tea', { partitioner: toPartition(5) }),
  ],
  ["publish('readonly', 'tea') // it is readonly", () => client.publish('readonly', 'tea')],
  ["subscribe('order') // no such stream", () => client.subscribe('order')],
  ["subscribe('orders', { startAt: 'begin' })", () => client.subscribe('orders', { startAt: 'begin' as never })],
  ["subscribe('orders', { startAt: 5 })", () => client.subscribe('orders', { startAt: 5 as never })],
  [
    "setCursor('reader', 'orders', 0, 5) // the server keeps no cursors",
    () => client.setCursor('reader', 'orders', 0, 5),
  ],
  [
    "publishToSubject('nowhere', 'tea') // nothing listens",
    () => client.publishToSubject('nowhere', 'tea', { timeout: 100 }),
  ],
];

async function errorOf(make: () => unknown): Promise<LiftbridgeError> {
  try {
    await make();
  } catch (error) {
    if (LiftbridgeError.is(error)) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

/** Replaces the addresses of this run with the usual ones. */
function asShown(text: string): string {
  return text
    .replaceAll(elsewhere, '127.0.0.1:4222')
    .replaceAll(broker.addresses[0]!, 'localhost:9292')
    .replaceAll('127.0.0.1:9292', 'localhost:9292')
    .replaceAll('|', '\\|');
}

async function table(): Promise<string> {
  const rows: string[] = [];
  for (const [shown, make] of MISTAKES) {
    const error = await errorOf(make);
    const [code, note] = shown.split(' // ');
    rows.push(
      `| \`${code}\`${note === undefined ? '' : `: ${note}`} | \`${error.code}\` | ${asShown(error.message)} |`,
    );
  }
  return ['| call | code | text |', '|---|---|---|', ...rows].join('\n');
}

describe('the typical mistakes of docs/errors.md', () => {
  it('are shown with their error texts; UPDATE_DOCS=1 writes them', async () => {
    const page = readFileSync(PAGE, 'utf8');
    const written = /^## Typical mistakes\n[^|]*(\| call \|[\s\S]*?)\n\n/m.exec(page)?.[1];
    const now = await table();
    if (process.env.UPDATE_DOCS === '1' && written !== undefined)
      writeFileSync(
        PAGE,
        page.replace(written, () => now),
      );
    else expect(written).toBe(now);
    expect(MISTAKES.length).toBeGreaterThanOrEqual(20);
  });

  it('name an address once', async () => {
    for (const [shown, make] of MISTAKES) {
      const { message } = await errorOf(make);
      const addresses = message.match(/127\.0\.0\.1:\d+/g) ?? [];
      expect([shown, addresses]).toEqual([shown, [...new Set(addresses)]]);
    }
  });

  it('are not retryable when only another port helps', async () => {
    expect(await errorOf(() => connect(elsewhere, quickly))).toMatchObject({ reason: 'protocol', retryable: false });
  });
});
