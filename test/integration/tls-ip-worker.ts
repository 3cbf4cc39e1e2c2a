// Connects over TLS to an IP address, and makes unary calls and streaming calls. The certificate authority comes on standard input.
import { text } from 'node:stream/consumers';
import { connect } from '../../src/index.js';

const client = await connect(process.argv[2]!, { tls: { ca: await text(process.stdin) } });
await client.createStream('orders', 'orders');
const ack = await client.publish('orders', 'one');
console.log(`stored at ${ack?.offset}`);
const subscription = await client.subscribe('orders', { startAt: 'earliest' });
for await (const message of subscription) {
  console.log(`read ${message.text()}`);
  break;
}
await client.close();
