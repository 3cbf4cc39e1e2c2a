/* Runs a broker on the data directory that is given, tells its parent the addresses, and goes on until it is killed. */
import { TestBroker } from '../../src/index.js';

const [dataDir, brokers] = process.argv.slice(2);
const broker = await TestBroker.start({ dataDir: dataDir!, brokers: Number(brokers) });
process.send?.(broker.addresses);
setInterval(() => {}, 1_000);
