import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';
import { connect } from '../../src/index.js';
import { closing } from '../support/closing.js';
import { eventually } from '../support/eventually.js';

/** Accepts connections on a port and never responds; accepted connections stay open when it stops listening. */
async function swallow(port: number): Promise<{ taken: Set<Socket>; stopListening(): Promise<void>; close(): void }> {
  const taken = new Set<Socket>();
  const server = createServer((socket) => {
    taken.add(socket);
    socket.on('error', () => undefined); // the client closes the connection, as the test expects
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    taken,
    stopListening: async () => void server.close(),
    close: () => {
      for (const socket of taken) socket.destroy();
    },
  };
}

describe('an attempt to connect that gets no response from the network', () => {
  it('does not delay the next attempt by connectTimeout', async () => {
    const broker = closing(await TestBroker.start());
    const client = closing(await connect(broker.addresses, { connectTimeout: 600_000, requestTimeout: 60_000 }));
    await client.createStream('orders', 'orders');
    await client.publish('orders', 'before');
    const port = Number(broker.addresses[0]!.split(':')[1]);
    const disconnected = once(client, 'disconnect');
    await broker.stopBroker(0);
    await disconnected;
    const network = closing(await swallow(port));
    const publishing = client.publish('orders', 'after', { timeout: 60_000 });
    const asking = client.fetchPartitionMetadata('orders', 0);
    // One connection for streams and one for unary calls.
    await eventually('attempts on both planes', () => network.taken.size >= 2);
    await network.stopListening();
    await broker.startBroker(0);
    expect((await publishing)?.offset).toBe(1n);
    expect((await asking).id).toBe(0);
  });
});
