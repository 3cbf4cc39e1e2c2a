/* Runs a broker on the given data directory, sends the addresses to its parent, and runs until it is killed. */
import { TestBroker } from '../../src/index.js';

const [dataDir, brokers] = process.argv.slice(2);
const broker = await TestBroker.start({ dataDir: dataDir!, brokers: Number(brokers) });
process.send?.(broker.addresses);
setInterval(() => {}, 1_000);
