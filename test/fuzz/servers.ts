import { TestBroker } from 'liftbridge-test-broker';
import { connect } from '../../src/index.js';
import { garbage } from '../support/hostile-behaviours.js';
import { visit } from '../support/hostile-visit.js';
import type { FuzzTarget } from './target.js';

const AT_A_TIME = 4;

/** Servers with corrupted bytes, each with its own seed. The scripted behaviours are in hostile-servers.test.ts. */
export const servers: FuzzTarget = {
  name: 'servers',
  unit: 'servers',
  open: async () => {
    const broker = await TestBroker.start();
    const client = await connect(broker.addresses);
    await client.createStream('hostile', 'hostile');
    await client.close();
    return {
      step: async (seed) => {
        const seeds = Array.from({ length: AT_A_TIME }, (_, i) => seed * AT_A_TIME + i);
        await Promise.all(seeds.map((each) => visit(broker.addresses[0]!, 'hostile', garbage(each))));
        return AT_A_TIME;
      },
      close: () => broker.close(),
    };
  },
};
