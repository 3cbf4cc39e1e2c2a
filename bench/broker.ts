import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import { type Client, connect } from 'liftbridge-client';
import { wire } from 'liftbridge-client/protocol';
import { TestBroker, type TestBrokerOptions } from 'liftbridge-test-broker';
import { APIClient } from '../test/support/grpc-js-api.js';
import type { Memory, Question } from './broker-process.js';
import type { Round } from './peer.js';
import { start, startPeer } from './peer-process.js';
import { median, type Row, shown, table } from './table.js';

const STARTS = 20;
const ROUNDS = 5;
const CREATIONS = 3;
const MESSAGES = 200_000;
const STORED = 1_000_000;
const SIZE = 256;
const STREAMS = 1_000;
const PARTITIONS = 10;
const AT_ONCE = 32;
const IDLE = 5_000;
const MEBIBYTE = 1024 * 1024;

/** Start, publishing, subscribing, creation, memory and idleness of the test broker, next to what is asked of it. */
export async function broker(print: (text: string) => void): Promise<void> {
  print(table('Test broker: start', [await startRow(1), await startRow(3)]));
  const speed: Row[] = [];
  for (const setup of SETUPS) speed.push(...(await speedRows(setup)));
  print(table(`Test broker: ${SIZE} bytes, the client in another process`, speed));
  print(table('Test broker: creation', [await creationRow(1), await creationRow(3)]));
  print(table(`Test broker: memory of ${shown(STORED)} messages of ${SIZE} bytes`, await memoryRows()));
  print(table('Test broker: doing nothing', [await idleRow()]));
}

const count = (brokers: number): string => (brokers === 1 ? '1 broker' : `${brokers} brokers`);

async function startRow(brokers: number): Promise<Row> {
  const times: number[] = [];
  for (let n = 0; n <= STARTS; n++) {
    const begun = performance.now();
    const started = await TestBroker.start({ brokers });
    const client = await connect(started.addresses);
    if (n > 0) times.push(performance.now() - begun);
    await client.close();
    await started.close();
  }
  const figures = { 'ms to the first served call': shown(median(times)), target: 'under 50' };
  return { name: `${count(brokers)}, median of ${STARTS}`, figures };
}

interface Setup {
  readonly brokers: number;
  readonly ackPolicy: 'leader' | 'all';
}

const SETUPS: readonly Setup[] = [
  { brokers: 1, ackPolicy: 'leader' },
  { brokers: 3, ackPolicy: 'leader' },
  { brokers: 3, ackPolicy: 'all' },
];

/** The bare loop shows what the broker can do, the client what a user of both gets. */
async function speedRows({ brokers, ackPolicy }: Setup): Promise<Row[]> {
  await using process = await BrokerProcess.start({ brokers });
  await process.client.createStream('bench', 'bench', { replicationFactor: 'max' });
  const addresses = await process.leaderFirst('bench');
  const publish: Round = {
    ...{ kind: 'publish', stream: 'bench', messages: MESSAGES, size: SIZE },
    ...{ inFlight: 8_192, partitions: 1, ackPolicy },
  };
  const subscribe: Round = { kind: 'subscribe', stream: 'bench', messages: MESSAGES, size: SIZE };
  const rows: Row[] = [];
  for (const name of ['packed-http2', 'client']) {
    const peer = startPeer(name, addresses.join(','));
    try {
      const published = await process.rates(() => peer.round(publish), MESSAGES);
      const what = `${name}, ${count(brokers)}, ack policy ${ackPolicy}`;
      rows.push({ name: `publish: ${what}`, figures: { ...published, target: 'at least 50,000' } });
      if (ackPolicy === 'all') continue;
      const read = await process.rates(() => peer.round(subscribe), MESSAGES);
      rows.push({
        name: `subscribe: ${name}, ${count(brokers)}`,
        figures: { ...read, target: 'at least 100,000' },
      });
    } finally {
      await peer.close();
    }
  }
  return rows;
}

async function creationRow(brokers: number): Promise<Row> {
  const seconds: number[] = [];
  for (let n = 0; n < CREATIONS; n++) seconds.push(await creation(brokers));
  return {
    name: `${shown(STREAMS)} streams x ${PARTITIONS} partitions, ${count(brokers)}`,
    figures: { seconds: shown(median(seconds)), target: 'under 5' },
  };
}

/** Seconds that it takes to create all streams on new brokers. */
async function creation(brokers: number): Promise<number> {
  await using process = await BrokerProcess.start({ brokers });
  const api = new APIClient(process.addresses[0]!, credentials.createInsecure());
  const begun = performance.now();
  let next = 0;
  const creating = Array.from({ length: AT_ONCE }, async () => {
    while (next < STREAMS) await createStream(api, `bench-${next++}`);
  });
  await Promise.all(creating);
  const seconds = (performance.now() - begun) / 1000;
  api.close();
  return seconds;
}

function createStream(api: APIClient, name: string): Promise<void> {
  const request = wire.CreateStreamRequest.fromPartial({ name, subject: name, partitions: PARTITIONS });
  return new Promise((resolve, reject) => api.createStream(request, (error) => (error ? reject(error) : resolve())));
}

async function memoryRows(): Promise<Row[]> {
  await using process = await BrokerProcess.start({});
  await process.client.createStream('bench', 'bench');
  const peer = startPeer('packed-http2', process.addresses.join(','));
  const publish = { kind: 'publish', stream: 'bench', size: SIZE, inFlight: 8_192, partitions: 1 } as const;
  await peer.round({ ...publish, messages: MESSAGES });
  const before = await process.ask<Memory>({ ask: 'memory' });
  await peer.round({ ...publish, messages: STORED });
  const after = await process.ask<Memory>({ ask: 'memory' });
  await peer.close();
  const stored = STORED * SIZE;
  const row = (name: string, bytes: number): Row => ({
    name,
    figures: { MiB: shown(bytes / MEBIBYTE), 'of the values': `${shown(bytes / stored)}x` },
  });
  return [
    row('values', stored),
    row('growth of heap and buffers', after.heap + after.external - before.heap - before.external),
    row('growth of the process', after.resident - before.resident),
  ];
}

async function idleRow(): Promise<Row> {
  await using process = await BrokerProcess.start({ brokers: 3 });
  for (let n = 0; n < 100; n++)
    await process.client.createStream(`idle-${n}`, `idle-${n}`, { partitions: 10, replicationFactor: 'max' });
  await sleep(1_000);
  const before = await process.ask<number>({ ask: 'cpu' });
  await sleep(IDLE);
  const used = (await process.ask<number>({ ask: 'cpu' })) - before;
  const figures = { 'CPU of one core': `${shown(used / 10 / IDLE)} %` };
  return { name: '3 brokers, 1,000 partitions on each', figures };
}

/** A broker in another process, and a client of it here. */
class BrokerProcess implements AsyncDisposable {
  readonly addresses: readonly string[];
  readonly client: Client;
  readonly #child: ChildProcess;

  static async start(options: TestBrokerOptions): Promise<BrokerProcess> {
    const child = start('./broker-process.ts', [JSON.stringify(options)]);
    const [addresses] = (await once(child, 'message')) as [string[]];
    return new BrokerProcess(child, addresses, await connect(addresses));
  }

  private constructor(child: ChildProcess, addresses: readonly string[], client: Client) {
    this.#child = child;
    this.addresses = addresses;
    this.client = client;
  }

  async ask<T>(question: Question): Promise<T> {
    this.#child.send(question);
    const [answer] = (await once(this.#child, 'message')) as [T];
    return answer;
  }

  /** For peers that talk to the first address alone. */
  async leaderFirst(stream: string): Promise<string[]> {
    const leader = await this.ask<number>({ ask: 'leader', stream });
    return [...this.addresses.slice(leader), ...this.addresses.slice(0, leader)];
  }

  /** Medians of several rounds, after one that does not count. */
  async rates(round: () => Promise<{ wall: number }>, messages: number): Promise<Record<string, string>> {
    const elapsed: number[] = [];
    const costs: number[] = [];
    for (let n = 0; n <= ROUNDS; n++) {
      const before = await this.ask<number>({ ask: 'cpu' });
      const { wall } = await round();
      if (n === 0) continue;
      costs.push((await this.ask<number>({ ask: 'cpu' })) - before);
      elapsed.push(wall);
    }
    return {
      'messages a second': shown(messages / (median(elapsed) / 1000)),
      'µs CPU of the broker a message': shown(median(costs) / messages),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }
}
