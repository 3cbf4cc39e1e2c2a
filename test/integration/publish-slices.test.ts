import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../src/index.js';
import { eventually } from '../support/eventually.js';
import { ScriptedCluster } from '../support/scripted-cluster.js';

const COUNT = 30_000;

let cluster: ScriptedCluster;
let client: Client;

beforeEach(async () => {
  cluster = await ScriptedCluster.start(1);
  cluster.leaders.set('orders', [0]);
  client = await connect(cluster.addresses, { ackTimeout: 3_600_000, maxInFlight: { messages: COUNT / 2 } });
});

afterEach(async () => {
  await client.close({ timeout: 100 });
  await cluster[Symbol.asyncDispose]();
});

/** Publishes messages without acks; resolves with the number of event loop turns in which their results were reported. */
async function turnsOf(end: () => unknown, signal?: AbortSignal): Promise<number> {
  await client.publish('orders', 'warm');
  cluster.onPublish = () => undefined;
  const turns = new Set<number>();
  let turn = 0;
  let told = 0;
  const count = (): void => {
    turn++;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  const onAck = (): void => {
    turns.add(turn);
    told++;
  };
  for (let n = 0; n < COUNT; n++) client.publishAsync('orders', 'x', onAck, { signal });
  await eventually('some have arrived', () => cluster.received.length > 1_000);
  try {
    await end();
    await eventually('all are told', () => told === COUNT);
  } finally {
    clearImmediate(next);
  }
  expect(told).toBe(COUNT);
  return turns.size;
}

describe('tens of thousands of publishes that end at the same time', () => {
  it('let the event loop turn when one signal aborts them', async () => {
    const controller = new AbortController();
    expect(await turnsOf(() => controller.abort(), controller.signal)).toBeGreaterThan(1);
  });

  it('let the event loop turn when the client is closed', async () => {
    expect(await turnsOf(() => client.close({ timeout: 0 }))).toBeGreaterThan(1);
  });

  it('let the event loop turn when the connection breaks', async () => {
    const controller = new AbortController();
    const end = async (): Promise<void> => {
      await cluster.stop(0);
      controller.abort();
    };
    expect(await turnsOf(end, controller.signal)).toBeGreaterThan(1);
  });
});
