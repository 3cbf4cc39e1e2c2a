import { TestBroker } from 'liftbridge-test-broker';
import { connect } from '../../src/index.js';
import { HOSTILE } from '../support/hostile.js';
import { CONNECTION, faultOf, publicMethods, SHORT } from '../support/hostile-calls.js';
import { Random } from './random.js';
import type { FuzzTarget } from './target.js';

const CALLS = 50;
const VALUES = Object.entries(HOSTILE);

/** Calls of public methods with several hostile arguments and options each; after each batch a normal call works. */
export const callArguments: FuzzTarget = {
  name: 'arguments',
  unit: 'calls',
  open: async () => {
    const broker = await TestBroker.start({ activityStream: true });
    const client = await connect(broker.addresses, { requestTimeout: 1_000, ackTimeout: 1_000 });
    await client.createStream('orders', 'orders', { partitions: 2, retentionMaxMessages: 1_000 });
    const methods = Object.entries(publicMethods({ client, addresses: broker.addresses, nats: CONNECTION }));

    async function hostileCall(random: Random): Promise<void> {
      const [name, { call, good, options }] = random.pick(methods);
      const given = good.map((argument) => (random.below(3) === 0 ? random.pick(VALUES)[1]() : argument));
      const chosen: Record<string, unknown> = name === 'connect' ? { connectTimeout: 50 } : { ...SHORT };
      for (const option of options) if (random.below(options.length) < 2) chosen[option] = random.pick(VALUES)[1]();
      const fault = await faultOf(() => call(...([...given, chosen] as never[])));
      if (fault !== null) throw new Error(`${name}: no typed error: ${fault}`);
    }

    return {
      step: async (seed) => {
        const random = new Random(seed);
        await Promise.all(Array.from({ length: CALLS }, () => hostileCall(random)));
        await client.publish('orders', 'sound', { partition: 1, timeout: 30_000 });
        return CALLS;
      },
      close: async () => {
        await client.close({ timeout: 0 });
        await broker.close();
      },
    };
  },
};
