import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../src/index.js';
import { Certificates } from '../support/certificates.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { ScriptedCluster } from '../support/scripted-cluster.js';
import { TcpProxy } from '../support/tcp-proxy.js';

/** No test waits for this timeout: a test that reaches it hangs. */
const LONG_MS = 3_600_000;
const REFUSED = {
  code: 'CONNECTION',
  reason: 'tls-rejected',
  retryable: false,
  outcome: 'not-sent',
  operation: 'Publish',
  stream: 'orders',
  partition: 0,
};

/** The TLS alert "certificate expired", as a Go server sends it. */
const EXPIRED = Buffer.from([0x15, 3, 3, 0, 2, 2, 45]);

let cluster: ScriptedCluster;
let proxy: TcpProxy;
let client: Client;

// Connected, and used for metadata, when the broker starts to reject the certificate of the client.
beforeEach(async () => {
  const authority = await Certificates.create();
  const [server, own] = await Promise.all([authority.issue(), authority.issue()]);
  const ca = authority.ca.cert;
  cluster = await ScriptedCluster.start(1, { ...server, ca, requestCert: true, rejectUnauthorized: true });
  cluster.leaders.set('orders', [0]);
  proxy = await TcpProxy.start(cluster.addresses[0]!);
  const resolveBroker = (): string => proxy.address;
  client = await connect(proxy.address, { tls: { ca, ...own }, ackTimeout: LONG_MS, resolveBroker });
  proxy.refusal = EXPIRED;
});

afterEach(async () => {
  await client.close({ timeout: 100 });
  await proxy.close();
  await cluster[Symbol.asyncDispose]();
});

describe('publishing on a data connection that TLS refuses permanently', () => {
  it.each(['leader', 'all', 'none'] as const)("rejects immediately with ackPolicy '%s'", async (ackPolicy) => {
    await expect(client.publish('orders', 'x', { ackPolicy })).rejects.toMatchObject(REFUSED);
  });

  it('rejects each time, even while the next connection attempt waits', async () => {
    for (let n = 0; n < 5; n++) await expect(client.publish('orders', 'x')).rejects.toMatchObject(REFUSED);
  });

  it('calls back with the error', async () => {
    const called = deferred<unknown>();
    client.publishAsync('orders', 'x', (error) => called.resolve(error));
    expect(await called.promise).toMatchObject(REFUSED);
  });

  it('ends publishAll', async () => {
    const acks = client.publishAll('orders', ['a', 'b'])[Symbol.asyncIterator]();
    await expect(acks.next()).rejects.toMatchObject(REFUSED);
  });

  it('continues on its own when the broker accepts the client again', async () => {
    await expect(client.publish('orders', 'x')).rejects.toMatchObject(REFUSED);
    proxy.refusal = null;
    await eventually('a publish succeeds', async () => (await client.publish('orders', 'y'))?.offset === 0n);
    expect(cluster.values()).toEqual(['y']);
  });
});
