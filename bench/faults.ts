/**
 * Measures how long publishing stands still when nodes of a real cluster fail: `npm run bench:faults [TEXT]`, with
 * `LIFTBRIDGE_ADDRESSES` (three nodes), `NATS_URL` and `LIFTBRIDGE_CLUSTER_COMMAND` (see CONTRIBUTING.md). TEXT chooses the
 * faults whose names contain it. A prober that publishes over NATS, without the client, tells how long the cluster itself
 * acknowledged nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, connect } from 'liftbridge-client';
import { decodeAck, encodeMessage } from 'liftbridge-client/envelope';
import { connect as connectNats, createInbox } from 'nats';
import { eventually } from '../test/support/eventually.js';
import { RealCluster, withoutRealCluster } from '../test/support/real-cluster.js';
import { FAULTS, type Fault } from '../test/support/real-faults.js';
import { type Row, table } from './table.js';

const EVERY_MS = 10;
const SETTLE_MS = 2_000;

/** When acks came, on the monotonic clock. */
class AckTimes {
  readonly #times: number[] = [];

  note(): void {
    this.#times.push(performance.now());
  }

  since(start: number): boolean {
    return (this.#times.at(-1) ?? 0) > start;
  }

  /** The longest time between two acks from `start` on, in milliseconds. */
  longestGap(start: number, end: number): number {
    const times = [start, ...this.#times.filter((time) => time > start && time < end), end];
    return Math.max(...times.slice(1).map((time, index) => time - times[index]!));
  }
}

/** Publishes over NATS alone until the signal aborts. */
async function probe(subject: string, acks: AckTimes, signal: AbortSignal): Promise<void> {
  const connection = await connectNats({ servers: process.env.NATS_URL ?? '', maxReconnectAttempts: -1 });
  const inbox = createInbox();
  connection.subscribe(inbox, {
    callback: (error, message) => {
      if (error === null && decodeAck(message.data).error === 'ok') acks.note();
    },
  });
  while (!signal.aborted) {
    connection.publish(subject, encodeMessage('probe', { ackInbox: inbox, ackPolicy: 'leader' }));
    await sleep(EVERY_MS);
  }
  await connection.close();
}

interface Outcome {
  readonly failures: Map<string, number>;
  published: number;
  acked: number;
}

/** Publishes with the client until the signal aborts, and waits until everything is settled. */
async function load(client: Client, stream: string, acks: AckTimes, signal: AbortSignal): Promise<Outcome> {
  const outcome: Outcome = { failures: new Map(), published: 0, acked: 0 };
  const running = new Set<Promise<void>>();
  while (!signal.aborted) {
    outcome.published++;
    const publish: Promise<void> = client.publish(stream, String(outcome.published)).then(
      () => {
        outcome.acked++;
        acks.note();
      },
      ({ code }: { code: string }) => void outcome.failures.set(code, (outcome.failures.get(code) ?? 0) + 1),
    );
    running.add(publish);
    void publish.finally(() => running.delete(publish));
    await sleep(EVERY_MS);
  }
  await Promise.all(running);
  return outcome;
}

/** Reads the stream until the signal aborts; null, or the code of the error that ended it. */
async function read(client: Client, stream: string, signal: AbortSignal): Promise<string | null> {
  const subscription = await client.subscribe(stream, { startAt: 'earliest' });
  signal.addEventListener('abort', () => void subscription.close(), { once: true });
  let next = 0n;
  try {
    for await (const { offset } of subscription) {
      if (offset !== next) return `offset ${offset} instead of ${next}`;
      next = offset + 1n;
    }
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

async function measure(cluster: RealCluster, client: Client, fault: Fault): Promise<Row> {
  const stream = `bench-faults-${process.pid}-${FAULTS.indexOf(fault)}`;
  await client.createStream(stream, stream, { replicationFactor: 3, minIsr: 2, timeout: 60_000 });
  await cluster.inSync(client, stream);
  const over = new AbortController();
  const server = new AckTimes();
  const own = new AckTimes();
  const probing = probe(stream, server, over.signal);
  const loading = load(client, stream, own, over.signal);
  const reading = read(client, stream, over.signal);
  await eventually('acks come', () => server.since(0) && own.since(0));
  await sleep(SETTLE_MS);
  const start = performance.now();
  await fault.inject(cluster, await cluster.leaderOf(client, stream, 0));
  const injected = performance.now();
  await eventually('acks come again', () => server.since(injected) && own.since(injected));
  await cluster.inSync(client, stream);
  await sleep(SETTLE_MS);
  const end = performance.now();
  over.abort();
  const [, { published, acked, failures }, ended] = await Promise.all([probing, loading, reading]);
  await client.deleteStream(stream, { timeout: 30_000 });
  const refused = [...failures].map(([code, count]) => `${count} ${code}`).join(', ');
  return {
    name: fault.name,
    figures: {
      'the cluster itself, s': (server.longestGap(start, end) / 1_000).toFixed(1),
      'this client, s': (own.longestGap(start, end) / 1_000).toFixed(1),
      'published, acknowledged': `${published}, ${acked}`,
      failed: refused || 'none',
      subscription: ended ?? 'goes on',
    },
  };
}

if (withoutRealCluster !== null || process.env.NATS_URL === undefined) {
  console.error(`bench:faults ${withoutRealCluster ?? 'needs NATS_URL'}`);
  process.exit(2);
}
const chosen = process.argv[2] ?? '';
await using cluster = new RealCluster();
await using client = await connect(cluster.addresses, { connectTimeout: 60_000 });
const rows: Row[] = [];
for (const fault of FAULTS.filter(({ name }) => name.includes(chosen))) {
  rows.push(await measure(cluster, client, fault));
  console.error(JSON.stringify(rows.at(-1)));
}
console.log(table('Longest time without an ack', rows));
