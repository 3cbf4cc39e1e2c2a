/** The tour of `npm run quickstart`: publishes, breaks, reads back and compares. */
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { SingleBar } from 'cli-progress';
import { type Client, connect, LiftbridgeError, partitionByKey } from 'liftbridge-client';
import { type Cluster, startCluster } from './cluster.js';
import { Ledger } from './ledger.js';
import { PartitionProducer } from './producer.js';
import { openSource, type Source } from './source.js';
import { UserError } from './user-error.js';

const PARTITIONS = 4;
const IN_FLIGHT = 1_000;
/** When the size of the source is not known, it counts as this many messages. */
const SIZE_OF_UNKNOWN = 2_000;
const STALLED_AFTER = 60_000;
const CONNECT_TIMEOUT = 5_000;
const NOTHING = Buffer.alloc(0);
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
  // When publishing fails, the run ends with its error, and the reader is closed.
  known.catch(() => undefined);
  for await (const message of subscription) {
    const offset = read.add(message.partition, message.key?.toString() ?? null, message.value ?? NOTHING);
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

  complete(): number {
    this.#bar?.update(1);
    return this.end();
  }

  /** Stops the bar, which gives the cursor back; returns the seconds that the run took. */
  end(): number {
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

/** Ends the run at Ctrl-C, with the cursor back. */
function watchInterrupt(progress: Progress, cluster: Cluster): () => void {
  const interrupt = (): void => {
    progress.end();
    console.error(
      cluster.outage ? '\nquickstart: interrupted' : `\nquickstart: interrupted; stream ${STREAM} stays there`,
    );
    process.exit(130);
  };
  process.once('SIGINT', interrupt);
  return () => process.off('SIGINT', interrupt);
}

async function tour(source: Source, cluster: Cluster): Promise<number> {
  const leaderChanges = new Set<string>();
  const writer = await connect(cluster.addresses, { connectTimeout: CONNECT_TIMEOUT });
  const reader = await connect(cluster.addresses, { connectTimeout: CONNECT_TIMEOUT });
  console.log(`Publishing ${source.title} to ${cluster.addresses.length} brokers (${cluster.addresses.join(', ')})`);
  const progress = new Progress();
  const stopWatching = watchInterrupt(progress, cluster);
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
    const publishing = publishAll(writer, source, cluster, progress);
    const expected = publishing.then(({ published }) => published);
    const [{ published }, read] = await Promise.all([publishing, readBack(reader, expected, progress)]);
    const seconds = progress.complete();
    progress.recovered((await cluster.outage?.recovered(writer, STREAM)) ?? null);
    const verified = report(published, read, progress, seconds, leaderChanges);
    for (const problem of progress.problems) console.error(`  problem: ${problem}`);
    console.log(
      verified
        ? 'Everything published was read back, once and in order.'
        : 'NOT everything published was read back, once and in order.',
    );
    return verified ? 0 : 1;
  } finally {
    progress.end();
    stopWatching();
    if (!cluster.outage) await writer.deleteStream(STREAM).catch(() => undefined);
    await Promise.all([writer.close({ timeout: 0 }), reader.close()]);
  }
}

/** Runs the tour with the lines of `file`; returns the exit code. What the user can mend is told in one line. */
export async function run(file: string | undefined): Promise<number> {
  let cluster: Cluster | null = null;
  try {
    const lockFile = fileURLToPath(new URL('../../package-lock.json', import.meta.url));
    const source = await openSource(file, lockFile);
    cluster = await startCluster();
    return await tour(source, cluster);
  } catch (error) {
    const expected = error instanceof UserError || LiftbridgeError.is(error, 'CONNECTION');
    console.error(expected ? `quickstart: ${error.message}` : error);
    return error instanceof UserError ? 2 : 1;
  } finally {
    await cluster?.close();
  }
}
