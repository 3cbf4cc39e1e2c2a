import { getEventListeners } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';
import { type Client, type ClientOptions, connect } from '../../src/index.js';
import { Certificates } from '../support/certificates.js';
import { closing } from '../support/closing.js';
import { freePort, REFUSED_PORT, SilentPeer, StubServer } from '../support/stub-server.js';

// Long timeout: a test that reaches it hangs.
const HOUR = 3_600_000;

const connected = async (servers: string | readonly string[], options?: ClientOptions): Promise<Client> =>
  closing(await connect(servers, options));
const stubServer = async (id?: string, port?: number): Promise<StubServer> => {
  const stub = await StubServer.start(id, port);
  closing({ close: () => stub.stop() });
  return stub;
};
const silentPeer = async (): Promise<SilentPeer> => {
  const peer = await SilentPeer.start();
  closing({ close: () => peer.stop() });
  return peer;
};

describe('connect', () => {
  it.each([[[]], [undefined], [null], [{}]])('rejects %o instead of addresses', async (servers) => {
    await expect(connect(servers as unknown as string)).rejects.toThrow(
      'connect: expected servers to be an address or a non-empty array of addresses',
    );
  });

  it('rejects an invalid address and an invalid option before it sends anything', async () => {
    await expect(connect(['127.0.0.1:1', 'host:99999'])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(connect('127.0.0.1:1', { ackTimeout: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('resolves when one of two seeds is reachable, and connects to the other one when it comes back', async () => {
    const port = await freePort();
    const alive = await stubServer('alive');
    const client = await connected([`127.0.0.1:${port}`, alive.address]);
    expect([...client.metadata.brokers.keys()]).toEqual(['alive']);
    const back = new Promise((resolve) => {
      client.on('connect', ({ broker }) => broker.address === `127.0.0.1:${port}` && resolve(broker.address));
    });
    await stubServer('late', port);
    expect(await back).toBe(`127.0.0.1:${port}`);
  });

  it('resolves when an advertised broker is unreachable', async () => {
    const alive = await stubServer('alive');
    alive.brokers.push({ id: 'dead', host: '127.0.0.1', port: REFUSED_PORT });
    const client = await connected(alive.address);
    for (let i = 0; i < 10; i++) expect(await client.ping()).toBeGreaterThan(0);
    expect([...client.metadata.brokers.keys()]).toEqual(['alive', 'dead']);
  });

  it('resolves when a seed accepts the connection and never responds', async () => {
    const [silent, alive] = [await silentPeer(), await stubServer()];
    const client = await connected([silent.address, alive.address], { connectTimeout: HOUR });
    expect(client.metadata.brokers.size).toBe(1);
  });

  it('rejects with the reason of the seed when the seed refuses the connection', async () => {
    const address = `127.0.0.1:${REFUSED_PORT}`;
    const attempt = connect(address, { connectTimeout: 1_500, retry: { minDelay: 1 } });
    await expect(attempt).rejects.toMatchObject({
      code: 'CONNECTION',
      reason: 'refused',
      outcome: 'not-sent',
      operation: 'connect',
      retryable: true,
    });
    await expect(attempt).rejects.toThrow(`connect failed: no seed answered within 1500 ms. ${address}: `);
  });

  it('rejects within connectTimeout, naming every seed and its reason', async () => {
    const [silent, refused] = [await silentPeer(), `127.0.0.1:${REFUSED_PORT}`];
    const attempt = connect([silent.address, refused], { connectTimeout: 1_500, retry: { minDelay: 1 } });
    await expect(attempt).rejects.toMatchObject({ code: 'CONNECTION' });
    const message = String(await attempt.catch((error: unknown) => error));
    expect(message).toContain(`${silent.address}: `);
    expect(message).toContain(`${refused}: `);
    expect(message).toContain('no process listens there');
  });

  it('retries until connectTimeout has passed, regardless of the retry option', async () => {
    const port = await freePort();
    const early = createServer((socket) => socket.destroy());
    closing({ close: () => early.close() });
    let attempts = 0;
    const enough = new Promise<void>((resolve) => {
      early.on('connection', () => ++attempts === 12 && resolve());
    });
    await new Promise<void>((resolve) => early.listen(port, '127.0.0.1', resolve));
    const connecting = connect(`127.0.0.1:${port}`, {
      connectTimeout: HOUR,
      retry: { attempts: 1, minDelay: 1, maxDelay: 5 },
    });
    await enough;
    await new Promise((resolve) => early.close(resolve));
    await stubServer('late', port);
    const client = closing(await connecting);
    expect(client.metadata.brokers.has('late')).toBe(true);
  });

  it('does not hang on a half-open connection', async () => {
    const silent = await silentPeer();
    await expect(connect(silent.address, { connectTimeout: 200 })).rejects.toMatchObject({
      code: 'CONNECTION',
      reason: 'timeout',
    });
  });

  it('rejects with the reason of its signal, and leaves no socket and no listener', async () => {
    const silent = await silentPeer();
    const controller = new AbortController();
    const { signal } = controller;
    const attempt = connect([silent.address, `127.0.0.1:${REFUSED_PORT}`], { signal });
    attempt.catch(() => undefined);
    await expect.poll(() => silent.connections).toBe(1);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(attempt).rejects.toBe(reason);
    await expect.poll(() => silent.open).toBe(0);
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');
    await expect.poll(sockets).toEqual([]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('rejects with the reason of a signal that is already aborted, and opens no connection', async () => {
    const silent = await silentPeer();
    await expect(connect(silent.address, { signal: AbortSignal.abort('early') })).rejects.toBe('early');
    expect(silent.connections).toBe(0);
  });

  it('does not close a client whose signal is aborted after it has connected', async () => {
    const stub = await stubServer();
    const controller = new AbortController();
    const client = await connected(stub.address, { signal: controller.signal });
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    controller.abort();
    expect(await client.ping()).toBeGreaterThan(0);
  });

  it('rejects with the error of the server when the server refuses every client', async () => {
    const stub = await stubServer();
    stub.on('fetchMetadata', () => ({
      fail: 'UNKNOWN',
      details: 'The client is not authorized to call FetchMetadata on resource *',
    }));
    await expect(connect(stub.address)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  it('uses another broker when the first one returns an error', async () => {
    const stub = await stubServer();
    stub.on('fetchMetadata', (_request, call) => (call === 1 ? { fail: 'UNAVAILABLE' } : (undefined as never)));
    const client = await connected(stub.address, { retry: { minDelay: 1 } });
    expect(client.metadata.brokers.has('stub')).toBe(true);
  });
});

describe('seeds and advertised brokers', () => {
  it('opens one connection when a seed and an advertised broker are the same', async () => {
    const stub = await stubServer();
    const names: string[] = [];
    const client = await connected([`localhost:${stub.port}`, `localhost:${stub.port}`]);
    client.on('connect', ({ broker }) => names.push(broker.address));
    for (let i = 0; i < 10; i++) await client.ping();
    expect(names).toEqual([]);
  });

  it('connects to the addresses that resolveBroker returns', async () => {
    const stub = await stubServer();
    stub.brokers = [{ id: 'stub', host: 'liftbridge.internal.invalid', port: 9292 }];
    const asked: unknown[] = [];
    const client = await connected(stub.address, {
      resolveBroker: (broker) => {
        asked.push(broker);
        return stub.address;
      },
    });
    await client.ping();
    expect(asked[0]).toEqual({ id: 'stub', host: 'liftbridge.internal.invalid', port: 9292 });
  });

  it.each([
    ['is unreachable', async () => ({ host: '127.0.0.1', port: REFUSED_PORT })],
    ['has no host', async () => ({ host: '', port: 9292 })],
    ['has a port out of range', async () => ({ host: '127.0.0.1', port: 70_000 })],
    ['has a zone id', async () => ({ host: 'fe80::1%lo', port: 9292 })],
    ['has a host that is not valid in a URL', async () => ({ host: 'no host', port: 9292 })],
  ])('falls back to the seed when its advertised address %s', async (_what, advertised) => {
    const stub = await stubServer();
    stub.brokers = [{ id: 'stub', ...(await advertised()) }];
    stub.streams.set('foo', { partitions: [{ leader: 'stub' }] });
    stub.on('fetchPartitionMetadata', () => ({
      answer: {
        metadata: {
          id: 0,
          leader: 'stub',
          replicas: [],
          isr: [],
          highWatermark: 7n,
          newestOffset: 7n,
          paused: false,
          readonly: false,
        },
      },
    }));
    const client = await connected(stub.address);
    expect((await client.fetchPartitionMetadata('foo', 0)).highWatermark).toBe(7n);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['returns a URL', () => 'http://x'],
    ['returns a port out of range', () => '127.0.0.1:70000'],
    ['returns a zone id', () => '[fe80::1%lo]:9292'],
    ['returns an empty string', () => ''],
  ])('rejects with a typed error when resolveBroker %s', async (_what, resolve) => {
    const stub = await stubServer();
    const resolveBroker = resolve as () => string;
    await expect(connect(stub.address, { resolveBroker, retry: { minDelay: 1 } })).rejects.toThrow(/resolveBroker/);
  });
});

describe('server selection', () => {
  const pair = async () => {
    const [one, two] = [await stubServer('one'), await stubServer('two')];
    const brokers = [...one.brokers, ...two.brokers];
    for (const stub of [one, two]) stub.brokers = [...stub.brokers, ...brokers.filter(({ id }) => id !== stub.id)];
    return { one, two, servers: [one.address, two.address] };
  };
  const count = (stub: StubServer): number => stub.of('deleteStream').length;
  const callTwenty = async (client: Client): Promise<void> => {
    for (let i = 0; i < 20; i++) await client.deleteStream('x');
  };

  it('uses every broker with the strategy random', async () => {
    const { one, two, servers } = await pair();
    await callTwenty(await connected(servers));
    expect(count(one)).toBeGreaterThan(0);
    expect(count(two)).toBeGreaterThan(0);
    expect(count(one) + count(two)).toBe(20);
  });

  it('avoids the slow broker with the strategy latency', async () => {
    const { one, two, servers } = await pair();
    two.on('fetchMetadata', async () => {
      // Slower than the other broker.
      await delay(1_000);
      return undefined as never;
    });
    const client = await connected(servers, { serverSelection: 'latency' });
    await callTwenty(client);
    expect([count(one), count(two)]).toEqual([20, 0]);
  });

  it('uses the broker with the lowest load with the strategy workload, and the other one when it fails', async () => {
    const { one, two, servers } = await pair();
    for (const stub of [one, two]) for (const broker of stub.brokers) broker.load = broker.id === 'one' ? 9 : 1;
    const client = await connected(servers, { serverSelection: 'workload', retry: { minDelay: 1 } });
    await callTwenty(client);
    expect([count(one), count(two)]).toEqual([0, 20]);
    await two.stop();
    await callTwenty(client);
    expect(count(one)).toBe(20);
  });

  it('fails over immediately when a broker stops, and reports the retry', async () => {
    const { one, two, servers } = await pair();
    const client = await connected(servers, { retry: { minDelay: 1 } });
    await two.stop();
    const retries: string[] = [];
    client.on('retry', ({ operation }) => retries.push(operation));
    await callTwenty(client);
    expect(count(one) + count(two)).toBe(20);
    expect(retries.length).toBeLessThanOrEqual(3);
  });
});

describe('a call', () => {
  it('rejects with TIMEOUT within its own timeout when no broker responds', async () => {
    const stub = await stubServer();
    const client = await connected(stub.address);
    stub.on('deleteStream', () => 'silence');
    const attempt = client.deleteStream('foo', { timeout: 150 });
    await expect(attempt).rejects.toMatchObject({ code: 'TIMEOUT', operation: 'DeleteStream', stream: 'foo' });
    await expect(attempt).rejects.toThrow(/no answer within 150 ms/);
  });

  it('is sent to another broker when one does not respond', async () => {
    const [silent, stub] = [await silentPeer(), await stubServer()];
    stub.brokers.push({ id: 'silent', host: '127.0.0.1', port: silent.port });
    const client = await connected(stub.address, { requestTimeout: 6_000, retry: { minDelay: 1 } });
    for (let i = 0; i < 6; i++) await client.deleteStream('foo');
    expect(stub.of('deleteStream')).toHaveLength(6);
  });

  it("rejects with the signal's reason", async () => {
    const stub = await stubServer();
    const client = await connected(stub.address);
    stub.on('deleteStream', () => 'silence');
    const controller = new AbortController();
    const reason = { mine: true };
    const attempt = client.deleteStream('foo', { signal: controller.signal });
    controller.abort(reason);
    await expect(attempt).rejects.toBe(reason);
    await expect(client.ping({ signal: AbortSignal.abort('at once') })).rejects.toBe('at once');
  });

  it('is retried while the cluster elects a metadata leader', async () => {
    const stub = await stubServer();
    const client = await connected(stub.address, { retry: { minDelay: 1 } });
    const answers = ['no known metadata leader', 'nats: no responders available for request'];
    stub.on('deleteStream', (_request, call) => {
      const details = answers[call - 1];
      return details === undefined ? { answer: {} } : { fail: 'INTERNAL', details };
    });
    await client.deleteStream('foo');
    expect(stub.of('deleteStream')).toHaveLength(3);
  });

  it('stops after the number of attempts that the retry option allows', async () => {
    const stub = await stubServer();
    const client = await connected(stub.address, { retry: { attempts: 3, minDelay: 1 } });
    stub.on('deleteStream', () => ({ fail: 'UNAVAILABLE', details: 'never' }));
    await expect(client.deleteStream('foo')).rejects.toMatchObject({ code: 'CONNECTION', reason: 'unavailable' });
    expect(stub.of('deleteStream')).toHaveLength(3);
  });
});

describe('connect with TLS', () => {
  const start = async (identity: { cert: string; key: string; clientCa?: string }) =>
    closing(await TestBroker.start({ tls: identity }));
  const attempt = (broker: TestBroker, tls: ClientOptions['tls']) => connect(broker.addresses[0]!, { tls });

  it('works with the right CA, and with a client certificate when the broker requires one', async () => {
    const authority = await Certificates.create();
    const { ca } = authority;
    const client = await authority.issue();
    const broker = await start({ ...(await authority.issue()), clientCa: ca.cert });
    const secure = await connected(broker.addresses[0]!, { tls: { ca: ca.cert, ...client } });
    await secure.createStream('foo', 'foo');
    expect(await secure.publish('foo', 'over TLS')).toMatchObject({ offset: 0n });
    await expect(attempt(broker, { ca: ca.cert })).rejects.toMatchObject({
      code: 'CONNECTION',
      reason: 'tls-rejected',
    });
  });

  it.each([
    ['tls-untrusted', 'the CA is another one', {}, async () => ({ ca: (await Certificates.create()).ca.cert })],
    ['tls-hostname', 'the certificate is for another host', { hosts: ['other'], ips: ['10.0.0.1'] }, null],
    ['tls-expired', 'the certificate has expired', { expired: true }, null],
    ['tls-config', 'the key is none', {}, async () => ({ cert: 'x', key: 'y' })],
  ] as const)('rejects with %s when %s', async (reason, _why, issued, tls) => {
    const authority = await Certificates.create();
    const broker = await start(await authority.issue(issued));
    const options = tls === null ? { ca: authority.ca.cert } : await tls();
    await expect(attempt(broker, options)).rejects.toMatchObject({ code: 'CONNECTION', reason, retryable: false });
  });

  it.each([
    [{ cert: 'x' }, 'connect: expected tls.key together with tls.cert: a client certificate needs both'],
    [{ key: 'x' }, 'connect: expected tls.cert together with tls.key: a client certificate needs both'],
  ])('rejects an incomplete client certificate before it connects', async (tls, text) => {
    const silent = await silentPeer();
    const attempt = connect(silent.address, { tls });
    await expect(attempt).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(attempt).rejects.toThrow(text);
    expect(silent.connections).toBe(0);
  });

  it('rejects with tls-not-spoken when the broker speaks plaintext', async () => {
    const broker = closing(await TestBroker.start());
    await expect(attempt(broker, true)).rejects.toMatchObject({ code: 'CONNECTION', reason: 'tls-not-spoken' });
  });

  it('rejects with a typed error when the broker speaks TLS and the client plaintext', async () => {
    const broker = await start(await (await Certificates.create()).issue());
    await expect(attempt(broker, false)).rejects.toMatchObject({ code: 'CONNECTION' });
  });
});
