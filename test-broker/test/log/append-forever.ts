/*
 * Appends to the log in the given directory, and prints each offset once `append` has returned. Rolls, drops
 * and compacts segments meanwhile. Sends a message to its parent after a while, and runs until it is killed.
 */
import { writeSync } from 'node:fs';
import { PartitionStorage } from '../../src/log/storage.js';
import { openLog } from './log-fixture.js';

const { log, add } = openLog({
  storage: new PartitionStorage({ directory: process.argv[2]! }),
  config: { segmentMaxBytes: 2000, retentionMaxMessages: 200, compactEnabled: true },
});
let count = 0;

function batch(): void {
  for (let i = 0; i < 50; i++, count++) {
    const offset = add({ key: count % 3 === 0 ? `key ${count % 30}` : '', value: `value ${count}` });
    writeSync(1, `${offset}\n`);
  }
  log.clean();
  if (count === 1000) process.send?.('appending');
  setImmediate(batch);
}

batch();
