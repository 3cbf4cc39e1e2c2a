import { once } from 'node:events';
import type { Cost, Round } from './peer.js';
import { type PeerProcess, start, startGufo, startPeer } from './peer-process.js';
import { median, type Row, shown, table } from './table.js';

const ROUNDS = 5;
const IN_FLIGHT = 8_192;
const IN_FLIGHT_BYTES = 16 * 1024 * 1024;
const OURS = 'client';
const LIMIT = 'packed-http2';
const GRPC = 'grpc-js';

interface Measured {
  readonly peer: string;
  readonly cpu: number;
  readonly rate: number;
}

/** Rounds of all peers in turn, A B C A B C, after one that does not count: the machine's moods hit all alike. */
async function measure(peers: readonly PeerProcess[], round: Round, rounds = ROUNDS): Promise<Measured[]> {
  const costs = new Map<string, Cost[]>(peers.map(({ name }) => [name, []]));
  for (let turn = 0; turn <= rounds; turn++) {
    for (const peer of peers) {
      const cost = await peer.round(round);
      if (turn > 0) costs.get(peer.name)!.push(cost);
    }
  }
  return peers.map(({ name }) => ({
    peer: name,
    cpu: median(costs.get(name)!.map(({ cpu }) => cpu)) / round.messages,
    rate: round.messages / (median(costs.get(name)!.map(({ wall }) => wall)) / 1000),
  }));
}

function compared(measured: readonly Measured[]): Row[] {
  const of = (peer: string): number => measured.find((one) => one.peer === peer)?.cpu ?? Number.NaN;
  return measured.map(({ peer, cpu, rate }) => ({
    name: peer,
    figures: {
      'µs CPU a message': shown(cpu),
      'messages a second': shown(rate),
      'of grpc-js': `${shown(cpu / of(GRPC))}x`,
      'of packed-http2': `${shown(cpu / of(LIMIT))}x`,
    },
  }));
}

const publishRound = (size: number, messages: number, partitions = 1): Round => ({
  kind: 'publish',
  stream: `bench-${partitions}`,
  messages,
  size,
  inFlight: Math.min(IN_FLIGHT, Math.ceil(IN_FLIGHT_BYTES / size)),
  partitions,
});
const subscribeRound = (size: number, messages: number): Round => ({
  kind: 'subscribe',
  stream: `bench-1-${messages}-${size}`,
  messages,
  size,
});

/** Reading is quick: a round must be long enough for the cost of opening the subscription not to show. */
const READS = 4;

const SIZES: readonly [size: number, messages: number][] = [
  [16, 100_000],
  [256, 100_000],
  [4096, 30_000],
  [65_536, 3_000],
];

/** Publish and subscribe, by size, against the bare loops; then latency, many partitions and many messages. */
export async function dataPlane(print: (text: string) => void): Promise<void> {
  const sink = start('./sink.ts');
  const [{ port }] = (await once(sink, 'message')) as [{ port: number }];
  const address = `127.0.0.1:${port}`;
  const gufo = await startGufo(address);
  const peers = [OURS, 'client-promises', GRPC, LIMIT].map((name) => startPeer(name, address));
  const all = gufo === null ? peers : [...peers, gufo];
  try {
    for (const [size, messages] of SIZES) {
      // gufo-liftbridge looks streams up in a listing of all of them, which the sink does not have: it only publishes.
      const publishers = size === 256 ? all : peers;
      print(
        table(
          `Publish ${size} bytes, ${messages} messages a round`,
          compared(await measure(publishers, publishRound(size, messages))),
        ),
      );
      print(
        table(
          `Subscribe ${size} bytes, ${messages * READS} messages a round`,
          compared(await measure(peers, subscribeRound(size, messages * READS))),
        ),
      );
    }
    const latency = peers.filter(({ name }) => name !== OURS);
    print(
      table(
        'One publish at a time, 256 bytes',
        compared(await measure(latency, { ...publishRound(256, 3_000), inFlight: 1 } as Round)),
      ),
    );
    await flatness(peers[0]!, print);
  } finally {
    await Promise.all(all.map((peer) => peer.close()));
    sink.disconnect();
  }
}

/** The cost of a message must not depend on how many partitions there are, nor on how many messages went before. */
async function flatness(ours: PeerProcess, print: (text: string) => void): Promise<void> {
  const rows: Row[] = [];
  for (const partitions of [1, 10, 100, 1_000]) {
    const [one] = await measure([ours], publishRound(256, 100_000, partitions), 3);
    rows.push({ name: `publish to ${partitions} partitions`, figures: { 'µs CPU a message': shown(one!.cpu) } });
  }
  for (const messages of [100_000, 1_000_000, 10_000_000]) {
    const [publish] = await measure([ours], publishRound(256, messages), 1);
    const [subscribe] = await measure([ours], subscribeRound(256, messages), 1);
    rows.push({
      name: `publish ${messages.toLocaleString('en')}`,
      figures: { 'µs CPU a message': shown(publish!.cpu) },
    });
    rows.push({
      name: `subscribe ${messages.toLocaleString('en')}`,
      figures: { 'µs CPU a message': shown(subscribe!.cpu) },
    });
  }
  print(table('Flat?', rows));
}
