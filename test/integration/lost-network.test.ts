import { TestBroker } from 'liftbridge-test-broker';
import { expect, it, vi } from 'vitest';
import { BrokerConnection } from '../../src/cluster/broker-connection.js';
import { connect } from '../../src/index.js';
import { eventually } from '../support/eventually.js';
import { TcpProxy } from '../support/tcp-proxy.js';

// Here the client does not detect a lost idle connection on its own.
vi.mock('../../src/transport/keepalive.js', () => ({
  Keepalive: class {
    stop(): void {}
  },
}));

it('when the client detects one dead connection it checks the others, also those that only deliver messages', async () => {
  await using broker = await TestBroker.start({ brokers: 2 });
  const proxies = await Promise.all(broker.addresses.map((address) => TcpProxy.start(address)));
  await using direct = await connect([...broker.addresses]);
  for (const stream of ['left', 'right']) {
    await direct.createStream(stream, stream);
    await broker.moveLeader(stream, 0, stream === 'left' ? 0 : 1);
  }
  const client = await connect(
    proxies.map(({ address }) => address),
    {
      ackTimeout: 60_000,
      resolveBroker: ({ host, port }) => proxies[broker.addresses.indexOf(`${host}:${port}`)]!.address,
    },
  );
  try {
    await client.publish('left', 'before');
    const read: string[] = [];
    const subscription = await client.subscribe('right', { startAt: 'earliest' });
    void (async () => {
      for await (const message of subscription) read.push(message.text());
    })();
    await direct.publish('right', 'before');
    await eventually('the subscription reads', () => read.length === 1);
    const check = vi.spyOn(BrokerConnection.prototype, 'checkLiveness');
    for (const proxy of proxies) proxy.forget();
    await direct.publish('right', 'meanwhile');
    // Only the connection to the other broker is used.
    await client.publish('left', 'after').catch(() => undefined);
    await eventually('the subscription goes on', () => read.length === 2);
    expect(read).toEqual(['before', 'meanwhile']);
    // A leader lookup may have used it too.
    expect(check.mock.contexts.map((connection) => (connection as BrokerConnection).address)).toContain(
      proxies[1]!.address,
    );
  } finally {
    await client.close({ timeout: 100 });
    for (const proxy of proxies) await proxy.close();
  }
});
