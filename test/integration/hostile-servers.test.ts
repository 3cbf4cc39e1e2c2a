import { TestBroker } from 'liftbridge-test-broker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/index.js';
import { BEHAVIOURS } from '../support/hostile-behaviours.js';
import { visit } from '../support/hostile-visit.js';

/** Number of behaviours that are tested at the same time: they wait more than they compute. */
const AT_A_TIME = 20;

let broker: TestBroker;
let stray: unknown[];
const note = (error: unknown): void => void stray.push(error);

beforeAll(async () => {
  broker = await TestBroker.start();
  const client = await connect(broker.addresses);
  await client.createStream('hostile', 'hostile');
  await client.close();
});
afterAll(() => broker.close());
beforeEach(() => {
  stray = [];
  process.on('uncaughtExceptionMonitor', note);
  process.on('unhandledRejection', note);
});
afterEach(() => {
  process.off('uncaughtExceptionMonitor', note);
  process.off('unhandledRejection', note);
});

const names = Object.keys(BEHAVIOURS);
const groups = Array.from({ length: Math.ceil(names.length / AT_A_TIME) }, (_, i) =>
  names.slice(i * AT_A_TIME, (i + 1) * AT_A_TIME),
);

describe('a server that', () => {
  it.each(groups)('%s, and similar servers: calls end with typed errors, and work afterwards', async (...group) => {
    const failures: Record<string, unknown> = {};
    await Promise.all(
      group.map((name) =>
        visit(broker.addresses[0]!, 'hostile', BEHAVIOURS[name]!).catch((error: unknown) => {
          failures[name] = error;
        }),
      ),
    );
    expect(failures).toEqual({});
    expect(stray).toEqual([]);
  });
});
