import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { type Client, connect, type LiftbridgeError } from 'liftbridge-client';
import { TestBroker, type TestBrokerOptions } from 'liftbridge-test-broker';
import { describe, expect, it, vi } from 'vitest';
import { Certificates } from '../support/certificates.js';
import { closing } from '../support/closing.js';
import { eventually } from '../support/eventually.js';
import { PATIENT } from '../support/patient.js';
import { LONG_TIMEOUTS } from './consumer-harness.js';

const HOUR = 3_600_000;

async function start(options: TestBrokerOptions = {}): Promise<{ broker: TestBroker; client: Client }> {
  const broker = closing(await TestBroker.start({ cursorsPartitions: 1, groups: LONG_TIMEOUTS, ...options }));
  const client = closing(await connect(broker.addresses as string[], PATIENT));
  await client.createStream('orders', 'orders');
  await client.publish('orders', 'one');
  return { broker, client };
}

/** Resolves with the name of the promise that settles first. */
function first(contenders: Record<string, Promise<unknown>>): Promise<string> {
  return Promise.race(
    Object.entries(contenders).map(([name, done]) =>
      done.then(
        () => name,
        () => name,
      ),
    ),
  );
}

describe('a handler that never returns', () => {
  it.each([1, 4])('does not prevent close from ending run, with concurrency %i', async (concurrency) => {
    const { client } = await start();
    const consumer = client.createConsumer('group', { autoOffset: 'earliest', revokeTimeout: 50 });
    const reached = vi.fn();
    const signals: AbortSignal[] = [];
    const run = consumer.run(
      (_message, { signal }) => {
        reached();
        signals.push(signal);
        return new Promise(() => undefined);
      },
      { streams: ['orders'], concurrency },
    );
    let ended = false;
    void run.then(() => {
      ended = true;
    });
    await eventually('the handler runs', () => reached.mock.calls.length === 1);
    await consumer.close();
    await run;
    expect(ended).toBe(true);
    expect(signals[0]!.aborted).toBe(true);
    const again = client.createConsumer('group', { autoOffset: 'none' });
    for await (const { offset } of await again.subscribe(['orders'])) {
      expect(offset).toBe(0n);
      break;
    }
  });

  it('makes run reject with the error that ended the consumer', async () => {
    const { client } = await start();
    const stop = new AbortController();
    const consumer = client.createConsumer('group', { autoOffset: 'earliest', revokeTimeout: 50 });
    const handler = () => {
      stop.abort(new Error('enough'));
      return new Promise(() => undefined);
    };
    await expect(consumer.run(handler, { streams: ['orders'], signal: stop.signal })).rejects.toThrow('enough');
  });
});

describe('closing a consumer while the broker does not respond', () => {
  /** A consumer with a position to store, whose broker stops responding, and a call of another caller with a long timeout. */
  async function silenced(giveUpAfter: number) {
    const { broker, client } = await start();
    const observer = closing(await connect(broker.addresses as string[], PATIENT));
    const consumer = client.createConsumer('group', { autoOffset: 'earliest', autoCheckpoint: false });
    const messages = (await consumer.subscribe(['orders']))[Symbol.asyncIterator]();
    await messages.next();
    void messages.next().catch(() => undefined);
    const errors: LiftbridgeError[] = [];
    client.on('asyncError', (error) => errors.push(error));
    closing({ close: broker.faults.silence() });
    const late = observer.fetchPartitionMetadata('orders', 0, { timeout: giveUpAfter });
    return { client, consumer, errors, late };
  }

  it('takes no longer than its timeout, and reports the positions that were not stored', async () => {
    const { consumer, errors, late } = await silenced(6_000);
    expect(await first({ late, closed: consumer.close({ timeout: 300 }) })).toBe('closed');
    expect(errors.length).toBeGreaterThan(0);
  });

  it('takes no longer than the default timeout when no timeout is given', async () => {
    const { consumer, late } = await silenced(30_000);
    expect(await first({ late, closed: consumer.close() })).toBe('closed');
  });

  it('takes no longer than the timeout of closing the client', async () => {
    const { client, late } = await silenced(6_000);
    expect(await first({ late, closed: client.close({ timeout: 300 }) })).toBe('closed');
  });

  it('rejects an invalid timeout', async () => {
    const { client } = await start();
    const consumer = client.createConsumer('group');
    await expect(consumer.close({ timeout: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('consumer.subscribe', () => {
  it('resolves only when the partitions are being read', async () => {
    // The coordinator may be on the broker that stops: another broker takes over soon.
    const groups = { ...LONG_TIMEOUTS, coordinatorTimeout: 500 };
    const { broker, client } = await start({ brokers: 3, groups });
    await client.createStream('single', 'single', { replicationFactor: 1, partitions: 3 });
    const away = broker.leaderOf('single', 1);
    // Attempts that wait for the stopped broker end soon.
    const other = closing(await connect(broker.addresses as string[], { ...PATIENT, requestTimeout: 3_000 }));
    const failures: string[] = [];
    other.on('retry', ({ operation }) => failures.push(operation));
    await broker.stopBroker(away);
    let resolved = false;
    const subscribed = other
      .createConsumer('group')
      .subscribe(['single'], { timeout: HOUR })
      .then(() => {
        resolved = true;
      });
    await eventually('the partition cannot be read', () => failures.filter((what) => what === 'TakeOver').length > 1);
    expect(resolved).toBe(false);
    await broker.startBroker(away);
    await subscribed;
  });
});

/** Forwards the first connection to one address and every later one to another. */
async function switching(one: string, other: string): Promise<string> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((downstream) => {
    const [host, port] = (connections++ === 0 ? one : other).split(':') as [string, string];
    const upstream = dial(Number(port), host);
    for (const socket of [downstream, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    downstream.pipe(upstream).pipe(downstream);
    downstream.once('close', () => upstream.destroy());
    upstream.once('close', () => downstream.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing({
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a consumer whose data connection is refused by TLS', () => {
  it('ends instead of holding partitions that it cannot read', async () => {
    const authority = await Certificates.create();
    const identity = await authority.issue();
    const options = { cursorsPartitions: 1, groups: LONG_TIMEOUTS };
    const broker = closing(await TestBroker.start({ ...options, tls: identity }));
    const strict = closing(await TestBroker.start({ ...options, tls: { ...identity, clientCa: authority.ca.cert } }));
    const tls = { ca: authority.ca.cert };
    const admin = closing(await connect(broker.addresses as string[], { ...PATIENT, tls }));
    await admin.createStream('orders', 'orders');
    const address = await switching(broker.addresses[0]!, strict.addresses[0]!);
    const client = closing(await connect(address, { ...PATIENT, tls, resolveBroker: () => address }));
    const consumer = client.createConsumer('group', { autoOffset: 'earliest' });
    await expect(consumer.subscribe(['orders'], { timeout: HOUR })).rejects.toMatchObject({
      code: 'CONNECTION',
      reason: 'tls-rejected',
      retryable: false,
    });
    await eventually('it has left its group', async () => {
      const { groups } = await admin.fetchMetadata({ streams: ['orders'], groups: ['group'] });
      return groups.size === 0;
    });
  });
});
