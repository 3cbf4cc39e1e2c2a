import { connect } from 'liftbridge-client';

/** A member of a group in its own process, which a test kills or stops: it writes a line for every message. */
const [addresses, consumerId, ...streams] = process.argv.slice(2) as [string, string, ...string[]];
const client = await connect(addresses.split(','));
const consumer = client.createConsumer('group', { consumerId, autoOffset: 'earliest', autoCheckpoint: 200 });
const messages = await consumer.subscribe(streams);
process.stdout.write('ready\n');
for await (const message of messages) process.stdout.write(`${message.text()}\n`);
