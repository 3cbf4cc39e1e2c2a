// Connects to the address, makes one call, reports it, and leaves the client open. After SIGUSR2 it reports a moment later
// that it is alive, if something other than this signal keeps it running.
import { AsyncLocalStorage } from 'node:async_hooks';
import { connect } from '../../src/index.js';

process.on('SIGUSR2', () => setTimeout(() => console.log('alive'), 300).unref());

const [address, what] = process.argv.slice(2);
const client = await connect(address!);
if (what === 'publish') await client.publish('orders', 'x');
else if (what === 'metadata') await new AsyncLocalStorage().run('call', () => client.fetchMetadata());
else if (what === 'subscription') await (await client.subscribe('orders')).close();
else if (what === 'consumer') {
  const consumer = client.createConsumer('group');
  await consumer.subscribe(['orders']);
  await consumer.close();
} else if (what === 'close') await client.close();
console.log('done');
