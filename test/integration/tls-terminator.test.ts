import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, connect, type Message } from '../../src/index.js';
import { Certificates } from '../support/certificates.js';
import { TlsTerminator } from '../support/tls-terminator.js';

const PATIENT = { timeout: 30_000 };

let broker: TestBroker;
let terminator: TlsTerminator;
let client: Client;
let tls: { ca: string };

beforeEach(async () => {
  broker = await TestBroker.start();
  const authority = await Certificates.create();
  tls = { ca: authority.ca.cert };
  const [host, port] = broker.addresses[0]!.split(':');
  terminator = await TlsTerminator.start(await authority.issue(), { host: host!, port: Number(port) });
  client = await connect(terminator.address, { tls, resolveBroker: () => terminator.address });
  await client.createStream('foo', 'foo');
});

afterEach(async () => {
  await client.close({ timeout: 100 });
  await terminator.close();
  await broker.close();
});

describe('a load balancer that terminates TLS and closes connections while its backend is down', () => {
  it('only delays subscriptions and publishes', async () => {
    const subscription = await client.subscribe('foo', { startAt: 'earliest' });
    const read: string[] = [];
    const reading = (async () => {
      for await (const message of subscription as AsyncIterable<Message>) {
        read.push(String(message.value));
        if (read.length === 2) return;
      }
    })();
    await client.publish('foo', 'before');
    await expect.poll(() => read, PATIENT).toEqual(['before']);
    terminator.away();
    await expect.poll(() => terminator.turnedAway, PATIENT).toBeGreaterThan(0);
    // The client has detected the loss: it keeps the publish while no broker is reachable.
    const publishing = client.publish('foo', 'after', { timeout: 30_000 });
    await expect.poll(() => terminator.turnedAway, PATIENT).toBeGreaterThan(5);
    terminator.back();
    expect(await publishing).toMatchObject({ offset: 1n });
    await reading;
    expect(read).toEqual(['before', 'after']);
    expect(await client.ping()).toBeGreaterThan(0);
  });

  it('does not prevent a new client from connecting when the backend is back', async () => {
    terminator.away();
    const connecting = connect(terminator.address, {
      tls,
      resolveBroker: () => terminator.address,
      retry: { minDelay: 5, maxDelay: 50 },
      connectTimeout: 30_000,
    });
    await expect.poll(() => terminator.turnedAway, PATIENT).toBeGreaterThan(8);
    terminator.back();
    await (await connecting).close();
  });
});
