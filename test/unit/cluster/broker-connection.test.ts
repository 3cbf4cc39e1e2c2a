import { createServer } from 'node:net';
import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BrokerConnection } from '../../../src/cluster/broker-connection.js';
import { EventHub } from '../../../src/cluster/events.js';
import { definitionOf } from '../../../src/cluster/unary-calls.js';
import { resolveClientOptions } from '../../../src/options.js';

const clock = vi.hoisted(() => ({ now: 0 }));
vi.mock('../../../src/async/clock.js', async (original) => ({
  ...(await original<typeof import('../../../src/async/clock.js')>()),
  monotonicNow: () => clock.now,
}));
// A backoff never ends by itself here: what ends it is told.
vi.mock('../../../src/async/sleep.js', async (original) => ({
  ...(await original<typeof import('../../../src/async/sleep.js')>()),
  sleep: (_ms: number, signal: AbortSignal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
}));

const open: { close(): unknown }[] = [];
beforeEach(() => {
  clock.now = 0;
  vi.spyOn(Math, 'random').mockReturnValue(1);
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const opened of open.splice(0).reverse()) await opened.close();
});

/** A port that nothing listens at. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function connection(port: number) {
  const closed = new AbortController();
  const settings = { options: resolveClientOptions({}), hub: new EventHub(), closed: closed.signal };
  const broker = new BrokerConnection({ host: '127.0.0.1', port }, settings);
  open.push({
    close: () => {
      closed.abort(new Error('closed'));
      return broker.close();
    },
  });
  const method = definitionOf('fetchMetadata');
  const call = () => broker.call(method, { streams: [], groups: [] }, { timeout: 10_000, signal: closed.signal });
  return { broker, call, signal: closed.signal };
}

describe('the backoff of a broker', () => {
  it('grows once for calls that fail together', async () => {
    const { broker, call } = await connection(await freePort());
    await Promise.allSettled(Array.from({ length: 8 }, call));
    expect(broker.backoff).toBe(50);
    clock.now += 50;
    await Promise.allSettled(Array.from({ length: 8 }, call));
    expect(broker.backoff).toBe(100);
  });

  it('ends for a session that waits as soon as a call is answered', async () => {
    const port = await freePort();
    const { broker, call, signal } = await connection(port);
    await expect(broker.session(signal)).rejects.toMatchObject({ connection: 'refused' });
    const session = broker.session(signal);
    const server = await TestBroker.start({ port });
    open.push(server);
    await call();
    expect((await session).state).toBe('open');
  });
});
