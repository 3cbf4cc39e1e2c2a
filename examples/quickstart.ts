/**
 * The tour: starts a cluster of three embedded brokers, publishes every line of a file to a partitioned and replicated
 * stream, stops a leader half-way, starts it again at three quarters, and reads everything back while that happens.
 *
 *   npm run quickstart            one event for each package of package-lock.json
 *   npm run quickstart FILE       every line of FILE; - is standard input
 *   LIFTBRIDGE_ADDRESSES=host:port,... npm run quickstart   on a real cluster, without stopping anything
 *
 * Exit code 0 only if everything published was read back, once and in order; 2 for a file that cannot be read.
 */
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { SingleBar } from 'cli-progress';
import { type Client, connect, partitionByKey } from 'liftbridge-client';
import { type Cluster, startCluster } from './quickstart/cluster.js';
import { Ledger } from './quickstart/ledger.js';
import { PartitionProducer } from './quickstart/producer.js';
import { openSource, type Source, SourceError } from './quickstart/source.js';

const PARTITIONS = 4;
const IN_FLIGHT = 1_000;
/** When the size of the source is not known, it counts as this many messages. */
const SIZE_OF_UNKNOWN = 2_000;
const STALLED_AFTER = 60_000;
const STREAM = `quickstart-${randomUUID().slice(0, 8)}`;

/** Publishes the whole source; answers what was published and how often a producer had to look at the log. */
async function publishAll(client: Client, source: Source, cluster: Cluster, progress: Progress) {
  const published = new Ledger(PARTITIONS);
  const producers = Array.from(
    { length: PARTITIONS },
    (_, partition) =>
      new PartitionProducer(client, STREAM, partition, IN_FLIGHT, (count) => progress.acknowledged(count)),
  );
  for await (const { key, value, share } of source.entries()) {
    const message = { stream: STREAM, key: key === null ? null : Buffer.from(key), value: null };
    const partition = key === null ? published.total % PARTITIONS : partitionByKey(message, PARTITIONS);
    published.add(partition, key, value);
    await producers[partition]!.publish(key, value);
    progress.published(published.total, share);
    const done = share ?? published.total / SIZE_OF_UNKNOWN;
    if (cluster.outage && !progress.stopped && done >= 0.5)
      progress.leaderStopped(partition, await cluster.outage.stopLeader(STREAM, partition));
    if (done >= 0.75) await cluster.outage?.startAgain();
  }
  await cluster.outage?.startAgain();
  await Promise.all(producers.map((producer) => producer.finish()));
  return { published, recoveries: producers.reduce((sum, producer) => sum + producer.recoveries, 0) };
}

/** Reads all partitions from their beginning until `expected` tells that there is nothing more to come. */
async function readBack(client: Client, expected: Promise<Ledger>, progress: Progress): Promise<Ledger> {
  const read = new Ledger(PARTITIONS);
  const subscription = await client.subscribe(STREAM, { partition: 'all', startAt: 'earliest' });
  let total = Number.POSITIVE_INFINITY;
  const stalled = setInterval(() => {
    if (progress.idle() < STALLED_AFTER) return;
    progress.problem(`nothing arrived for ${STALLED_AFTER / 1000} s after ${read.total} messages`);
    void subscription.close();
  }, 1_000);
  const known = expected.then((published) => {
    total = published.total;
    if (read.total >= total) void subscription.close();
  });
  for await (const message of subscription) {
    const offset = read.add(message.partition, message.key === null ? null : message.key.toString(), message.text());
    if (message.offset !== BigInt(offset))
      progress.problem(`partition ${message.partition}: expected offset ${offset}, read ${message.offset}`);
    progress.read(read.total);
    if (read.total >= total) break;
  }
  clearInterval(stalled);
  await known;
  return read;
}

/** The bar, and what is to be told at the end. */
class Progress {
  readonly problems: string[] = [];
  stopped: string | null = null;
  startedAgain: string | null = null;
  acks = 0;
  readonly started = performance.now();
  #lastRead = Date.now();
  #reads = 0;
  readonly #bar: SingleBar | null;

  constructor() {
    const format = '  {bar} {percentage} %   {published} published   {acks} acknowledged   {read} read';
    this.#bar = process.stderr.isTTY
      ? new SingleBar({ format, hideCursor: true, clearOnComplete: false, fps: 10 })
      : null;
    this.#bar?.start(1, 0, { published: 0, acks: 0, read: 0 });
  }

  published(count: number, share: number | null): void {
    this.#bar?.update(share ?? 0, { published: count, acks: this.acks, read: this.#reads });
  }

  acknowledged(count: number): void {
    this.acks += count;
    this.#bar?.update({ acks: this.acks });
  }

  read(count: number): void {
    this.#reads = count;
    this.#lastRead = Date.now();
    this.#bar?.update({ read: count });
  }

  idle(): number {
    return Date.now() - this.#lastRead;
  }

  leaderStopped(partition: number, address: string): void {
    this.stopped = `the leader of partition ${partition}, broker ${address}, was stopped half-way`;
  }

  recovered(milliseconds: number | null): void {
    if (milliseconds === null) return;
    this.startedAgain = `it was started again, and held every partition in sync ${Math.round(milliseconds)} ms later`;
  }

  problem(text: string): void {
    if (this.problems.length < 10) this.problems.push(text);
  }

  end(): number {
    this.#bar?.update(1);
    this.#bar?.stop();
    return (performance.now() - this.started) / 1000;
  }
}

function report(
  published: Ledger,
  read: Ledger,
  progress: Progress,
  seconds: number,
  leaderChanges: ReadonlySet<string>,
): boolean {
  const [sent, received] = [published.digests(), read.digests()];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const equal = sent[partition] === received[partition] && published.counts[partition] === read.counts[partition];
    const counts = `${published.counts[partition]} published, ${read.counts[partition]} read`;
    console.log(
      `  partition ${partition}: ${counts}, sha256 ${sent[partition]} ${equal ? '= the same, in order' : `≠ ${received[partition]}`}`,
    );
    if (!equal) progress.problem(`partition ${partition}: what was read is not what was published`);
  }
  if (progress.stopped) console.log(`  ${progress.stopped}`);
  if (progress.startedAgain) console.log(`  ${progress.startedAgain}`);
  for (const change of leaderChanges) console.log(`  ${change}`);
  const rate = Math.round(published.total / seconds).toLocaleString('en');
  const { rss, heapUsed } = process.memoryUsage();
  console.log(
    `  ${published.total} messages published, ${progress.acks} acknowledged by all replicas, ${read.total} read back`,
  );
  console.log(`  ${rate} messages a second, published and read back, in ${seconds.toFixed(2)} s`);
  console.log(
    `  memory: ${megabytes(heapUsed)} heap, ${megabytes(rss)} in all, the brokers with their three replicas included`,
  );
  if (progress.acks !== published.total)
    progress.problem(`${published.total - progress.acks} messages were not acknowledged`);
  return progress.problems.length === 0;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MB`;
}

async function main(): Promise<number> {
  const lockFile = fileURLToPath(new URL('../package-lock.json', import.meta.url));
  const source = await openSource(process.argv[2], lockFile);
  const cluster = await startCluster();
  const leaderChanges = new Set<string>();
  console.log(`Publishing ${source.title} to ${cluster.addresses.length} brokers (${cluster.addresses.join(', ')})`);
  const writer = await connect(cluster.addresses);
  const reader = await connect(cluster.addresses);
  try {
    const replicationFactor = cluster.outage ? 3 : 'max';
    await writer.createStream(STREAM, STREAM, {
      partitions: PARTITIONS,
      replicationFactor,
      optimisticConcurrencyControl: true,
    });
    reader.on('leaderChange', ({ stream, partition, from, to }) => {
      if (stream === STREAM)
        leaderChanges.add(`partition ${partition} moved from broker ${from ?? 'none'} to ${to ?? 'none'}`);
    });
    const progress = new Progress();
    const publishing = publishAll(writer, source, cluster, progress);
    const expected = publishing.then(({ published }) => published);
    const [{ published }, read] = await Promise.all([publishing, readBack(reader, expected, progress)]);
    const seconds = progress.end();
    progress.recovered((await cluster.outage?.recovered(writer, STREAM)) ?? null);
    const verified = report(published, read, progress, seconds, leaderChanges);
    for (const problem of progress.problems) console.error(`  problem: ${problem}`);
    console.log(
      verified
        ? 'Everything published was read back, once and in order.'
        : 'NOT everything published was read back, once and in order.',
    );
    if (!cluster.outage) await writer.deleteStream(STREAM);
    return verified ? 0 : 1;
  } finally {
    await Promise.all([writer.close(), reader.close()]);
    await cluster.close();
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error instanceof SourceError ? `quickstart: ${error.message}` : error);
    process.exitCode = error instanceof SourceError ? 2 : 1;
  },
);
