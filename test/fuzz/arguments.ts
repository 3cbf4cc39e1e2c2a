import { TestBroker } from 'liftbridge-test-broker';
import { type Client, connect } from '../../src/index.js';
import { HOSTILE } from '../support/hostile.js';
import { CONNECTION, faultOf, publicMethods, SHORT } from '../support/hostile-calls.js';
import { Random } from './random.js';
import type { FuzzTarget } from './target.js';

const CALLS = 50;
const VALUES = Object.entries(HOSTILE);

function methodsOf(client: Client, addresses: readonly string[]) {
  return Object.entries(publicMethods({ client, addresses, nats: CONNECTION }));
}

/** Calls of public methods with several hostile arguments and options each; after each batch a normal call succeeds. */
export const callArguments: FuzzTarget = {
  name: 'arguments',
  unit: 'calls',
  open: async () => {
    const broker = await TestBroker.start({ activityStream: true });
    const first = await connect(broker.addresses);
    await first.createStream('orders', 'orders', { partitions: 2, retentionMaxMessages: 1_000 });
    await first.close();

    async function hostileCall(random: Random, methods: ReturnType<typeof methodsOf>): Promise<void> {
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
        // A separate client: Node's HTTP/2 server, which the test broker uses, ends a connection when its client cancels more
        // than a thousand calls in a short time.
        const client = await connect(broker.addresses, { requestTimeout: 1_000, ackTimeout: 1_000 });
        const methods = methodsOf(client, broker.addresses);
        await Promise.all(Array.from({ length: CALLS }, () => hostileCall(random, methods)));
        await client.publish('orders', 'sound', { partition: 1, timeout: 30_000 });
        await client.close({ timeout: 0 });
        return CALLS;
      },
      close: () => broker.close(),
    };
  },
};
