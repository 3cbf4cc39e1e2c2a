import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, connect, type Subscription } from 'liftbridge-client';
import { afterEach, describe, expect, it } from 'vitest';
import { uniqueName } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { RealCluster, withoutRealCluster } from '../support/real-cluster.js';
import { FAULTS } from '../support/real-faults.js';

const PATIENCE = 300_000;

/** Publishes numbers until it is stopped, and remembers which of them were acknowledged at which offset. */
class Load {
  readonly acked = new Map<number, bigint>();
  #count = 0;
  #open = 0;
  #over = false;

  constructor(
    readonly client: Client,
    readonly stream: string,
  ) {
    void this.#run();
  }

  /** Resolves when a publish from now on was acknowledged. */
  async works(): Promise<void> {
    const from = this.#count;
    await eventually('a publish is acknowledged', () => [...this.acked.keys()].some((number) => number >= from));
  }

  async stop(): Promise<void> {
    this.#over = true;
    await eventually('every publish settles', () => this.#open === 0);
  }

  async #run(): Promise<void> {
    while (!this.#over) {
      const number = this.#count++;
      this.#open++;
      const settled = (error: unknown, offset: bigint | undefined): void => {
        this.#open--;
        if (error === null && offset !== undefined) this.acked.set(number, offset);
      };
      this.client.publish(this.stream, String(number), { ackPolicy: 'all' }).then(
        (ack) => settled(null, ack?.offset),
        (error: unknown) => settled(error, undefined),
      );
      await sleep(10);
    }
  }
}

/** Reads a subscription to its end, and keeps what it delivered and how it ended. */
class Reading {
  readonly offsets: bigint[] = [];
  readonly values: string[] = [];
  error: unknown = null;
  readonly done: Promise<void>;

  constructor(readonly subscription: Subscription) {
    this.done = this.#read();
  }

  async #read(): Promise<void> {
    try {
      for await (const message of this.subscription) {
        this.offsets.push(message.offset);
        this.values.push(message.text());
      }
    } catch (error) {
      this.error = error;
    }
  }
}

describe.skipIf(withoutRealCluster !== null)(`a real cluster (${withoutRealCluster ?? 'given'})`, () => {
  const cleanup: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const undo of cleanup.splice(0).reverse()) await undo();
  });

  async function begin(): Promise<{ cluster: RealCluster; client: Client; stream: string }> {
    const cluster = new RealCluster();
    cleanup.push(() => cluster[Symbol.asyncDispose]());
    const client = await connect(cluster.addresses);
    cleanup.push(() => client.close({ timeout: 1_000 }));
    const stream = uniqueName('faults');
    await client.createStream(stream, stream, { replicationFactor: 3, minIsr: 2, timeout: 30_000 });
    await cluster.inSync(client, stream);
    return { cluster, client, stream };
  }

  it.each(FAULTS)('publishes and subscriptions survive when $name', { timeout: PATIENCE }, async ({ inject }) => {
    const { cluster, client, stream } = await begin();
    const options = [{ startAt: 'earliest' }, { startAt: 'earliest', partition: 'all' }] as const;
    const readings: Reading[] = [];
    for (const one of options) readings.push(new Reading(await client.subscribe(stream, one)));
    cleanup.push(
      ...readings.map(
        ({ subscription }) =>
          () =>
            subscription.close(),
      ),
    );
    const load = new Load(client, stream);
    cleanup.push(() => load.stop());
    await load.works();
    await inject(cluster, await cluster.leaderOf(client, stream, 0));
    await load.works();
    await load.stop();
    await cluster.inSync(client, stream);

    const { newestOffset } = await client.fetchPartitionMetadata(stream, 0);
    for (const reading of readings) {
      await eventually('the readings reach the end', () => {
        if (reading.error !== null) throw reading.error;
        return reading.offsets.at(-1) === newestOffset;
      });
      expect(reading.offsets).toEqual(Array.from({ length: Number(newestOffset) + 1 }, (_, offset) => BigInt(offset)));
      for (const [number, offset] of load.acked) expect(reading.values[Number(offset)]).toBe(String(number));
    }
  });

  it('a consumer group outlives a restart of its coordinator', { timeout: PATIENCE }, async () => {
    const { cluster, client, stream } = await begin();
    const group = uniqueName('group');
    const processed: string[] = [];
    const failures: unknown[] = [];
    for (const consumerId of ['one', 'two']) {
      const consumer = client.createConsumer(group, { consumerId, autoOffset: 'earliest', autoCheckpoint: 500 });
      cleanup.push(() => consumer.close());
      const running = consumer.run((message) => void processed.push(message.text()), { streams: [stream] });
      running.catch((error: unknown) => failures.push(error));
    }
    const load = new Load(client, stream);
    cleanup.push(() => load.stop());
    await eventually('messages are processed', () => processed.length > 0);
    const coordinator = await eventually('a coordinator', async () => {
      const found = (await client.fetchMetadata({ groups: [group] })).groups.get(group)?.coordinator;
      return found === null || found === undefined ? undefined : cluster.addresses.indexOf(found.address);
    });
    for (const verb of ['term', 'kill'] as const) {
      await cluster.node(verb, coordinator);
      await sleep(1_500);
      await cluster.node('up', coordinator);
      const before = processed.length;
      await load.works();
      await eventually('messages are processed again', () => processed.length > before + 10);
    }
    await load.stop();
    const wanted = [...load.acked.keys()].map(String);
    await eventually('everything acknowledged is processed', () => wanted.every((value) => processed.includes(value)));
    expect(failures).toEqual([]);
  });

  it('a deleted stream ends its reader, one created again under its name is another', {
    timeout: PATIENCE,
  }, async () => {
    const { client, stream } = await begin();
    const reading = new Reading(await client.subscribe(stream, { startAt: 'earliest' }));
    await client.publish(stream, 'old', { timeout: 30_000 });
    await client.deleteStream(stream);
    await reading.done;
    expect(reading.error).toMatchObject({ code: 'STREAM_DELETED' });
    await client.createStream(stream, stream, { replicationFactor: 3, timeout: 30_000 });
    const again = new Reading(await client.subscribe(stream, { startAt: 'earliest' }));
    cleanup.push(() => again.subscription.close());
    await client.publish(stream, 'new', { timeout: 30_000 });
    await eventually('the new message arrives', () => again.values.length > 0);
    expect(again.values).toEqual(['new']);
  });
});
