import { TestBroker } from 'liftbridge-test-broker';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../src/index.js';
import { Certificates } from '../support/certificates.js';
import { closing } from '../support/closing.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { TlsAlert, tlsAlert } from '../support/tls-alert.js';

let proxy: TcpProxy;
let client: Client;
let events: string[];

beforeEach(async () => {
  const authority = await Certificates.create();
  const broker = closing(await TestBroker.start({ tls: await authority.issue() }));
  proxy = closing(await TcpProxy.start(broker.addresses[0]!));
  const address = `localhost:${proxy.port}`;
  const options = { tls: { ca: authority.ca.cert }, resolveBroker: () => address, ackTimeout: 60_000 };
  client = await connect(address, options);
  closing({ close: () => client.close({ timeout: 100 }) });
  await client.createStream('foo', 'foo');
  events = [];
  client.on('disconnect', () => events.push('disconnect'));
  // From now on new connections are refused. The connection for unary calls is already open.
  proxy.refusal = tlsAlert(TlsAlert.CERTIFICATE_EXPIRED);
});

const refused = { code: 'CONNECTION', reason: 'tls-rejected', retryable: false, stream: 'foo' };

describe('a broker that refuses the data connection with a TLS alert', () => {
  it('makes a subscription reject immediately, with the advice for the alert', async () => {
    const attempt = client.subscribe('foo');
    await expect(attempt).rejects.toMatchObject({ ...refused, partition: 0, operation: 'Subscribe' });
    await expect(attempt).rejects.toThrow('Subscribe of stream "foo", partition 0 at broker');
    await expect(attempt).rejects.toThrow('the client certificate has expired or is not yet valid; renew tls.cert');
  });

  it('makes publishes reject immediately, sequentially and in parallel', async () => {
    await expect(client.publish('foo', 'x')).rejects.toMatchObject(refused);
    const more = await Promise.allSettled(['a', 'b', 'c'].map((value) => client.publish('foo', value)));
    for (const each of more) expect(each).toMatchObject({ status: 'rejected', reason: refused });
    await expect(client.publish('foo', 'x', { ackPolicy: 'none' })).rejects.toMatchObject(refused);
  });

  it('still serves unary calls', async () => {
    await expect(client.publish('foo', 'x')).rejects.toMatchObject(refused);
    await expect(client.subscribe('foo')).rejects.toMatchObject(refused);
    expect(await client.ping()).toBeGreaterThan(0);
    expect(events).toEqual([]);
  });

  it('is used again when it accepts the client', async () => {
    await expect(client.publish('foo', 'x')).rejects.toMatchObject(refused);
    proxy.refusal = null;
    await expect
      .poll(() => client.publish('foo', 'y').then(String, ({ reason }) => reason), { timeout: 30_000 })
      .not.toBe('tls-rejected');
  });
});
