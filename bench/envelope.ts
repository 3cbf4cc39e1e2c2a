import { pathToFileURL } from 'node:url';
import { decodeAck, decodeMessage, encodeAck, encodeMessage } from 'liftbridge-client/envelope';
import { natsPublisher } from 'liftbridge-client/nats';
import { TestBroker } from 'liftbridge-test-broker';
import { connect, type NatsConnection } from 'nats';
import { Ack as GeneratedAck, Message as GeneratedMessage } from '../src/protocol/generated/api.js';
import { median, type Row, shown, table } from './table.js';

const ROUNDS = 9;
const ENVELOPES = 20_000;
const PUBLISHES = 5_000;

const value = Buffer.alloc(256, 'v');
const key = Buffer.from('customer-4711');
const headers = { source: Buffer.from('shop'), trace: Buffer.from('00-4bf92f3577b34da6a3ce929d0e0e4736') };
const HEADER = Buffer.from('b90e43b400080000', 'hex');

const plain = { key, ackInbox: '_INBOX.4f1c7d', correlationId: 'a1b2c3-42' } as const;
const full = { ...plain, headers } as const;

/** What an envelope costs with the generated codec. */
function encodeGenerated(withHeaders: boolean): Buffer {
  const message = {
    ...{ offset: -1n, key, value, timestamp: 0n, stream: '', partition: 0, subject: '', replySubject: '' },
    ...{ headers: new Map(withHeaders ? Object.entries(headers) : []) },
    ...{ ackInbox: plain.ackInbox, correlationId: plain.correlationId, ackPolicy: 0 as const },
  };
  return Buffer.concat([HEADER, GeneratedMessage.encode(message).finish()]);
}

/** Envelopes against the generated codec, and the NATS publisher against a request loop; ratios are medians of rounds. */
export async function run(): Promise<Row[]> {
  return [...(await codecRows()), await publisherRow()];
}

/** The same, printed, for bench/run.ts. */
export async function envelope(print: (text: string) => void): Promise<void> {
  print(table('Envelopes and the NATS publisher', await run()));
}

async function codecRows(): Promise<Row[]> {
  const message = encodeMessage(value, full);
  const ack = encodeAck({
    stream: 'orders',
    partitionSubject: 'orders',
    messageSubject: 'orders',
    offset: 42,
    ...plainAck,
  });
  return [
    await compare('encode a message', ENVELOPES, {
      ours: () => encodeMessage(value, plain),
      theirs: () => encodeGenerated(false),
    }),
    await compare('encode a message with 2 headers', ENVELOPES, {
      ours: () => encodeMessage(value, full),
      theirs: () => encodeGenerated(true),
    }),
    await compare('decode a message, headers read', ENVELOPES, {
      ours: () => decodeMessage(message).headers,
      theirs: () => GeneratedMessage.decode(message.subarray(8)).headers,
    }),
    await compare('decode a message', ENVELOPES, {
      ours: () => decodeMessage(message),
      theirs: () => GeneratedMessage.decode(message.subarray(8)),
    }),
    await compare('decode an ack', ENVELOPES, {
      ours: () => decodeAck(ack),
      theirs: () => GeneratedAck.decode(ack.subarray(8)),
    }),
  ];
}

const plainAck = {
  ackInbox: plain.ackInbox,
  correlationId: plain.correlationId,
  commitTimestamp: 1_700_000_000_000_000_000n,
};

async function publisherRow(): Promise<Row> {
  await using broker = await TestBroker.start({ nats: true });
  const servers = broker.natsUrl ?? '';
  const [client, service] = [await connect({ servers }), await connect({ servers })];
  try {
    answer(service);
    await service.flush();
    const publisher = natsPublisher(client);
    return await compareRuns('publish with ack, pipelined, against a request loop', {
      ours: () => pipelined((n) => publisher.publish('bench', value, { key: String(n) })),
      theirs: () => requestLoop(client),
    });
  } finally {
    await client.close();
    await service.close();
  }
}

/** Answers both ways alike: what is compared is the waiting. */
function answer(service: NatsConnection): void {
  let offset = 0n;
  service.subscribe('bench', {
    callback: (_error, message) => {
      const { ackInbox, correlationId } = decodeMessage(message.data);
      service.publish(message.reply || ackInbox, encodeAck({ stream: 's', offset: offset++, ackInbox, correlationId }));
    },
  });
}

async function pipelined(publish: (n: number) => Promise<unknown>): Promise<number> {
  const publishes: Promise<unknown>[] = [];
  for (let n = 0; n < PUBLISHES; n++) publishes.push(publish(n));
  await Promise.all(publishes);
  return PUBLISHES;
}

async function requestLoop(client: NatsConnection): Promise<number> {
  const rounds = PUBLISHES / 10;
  for (let n = 0; n < rounds; n++)
    decodeAck((await client.request('bench', encodeMessage(value, { key: String(n) }))).data);
  return rounds;
}

interface Contest<T> {
  readonly ours: () => T;
  readonly theirs: () => T;
}

function compare(name: string, times: number, contest: Contest<unknown>): Promise<Row> {
  const repeat = (once: () => unknown) => (): number => {
    for (let n = 0; n < times; n++) once();
    return times;
  };
  return compareRuns(name, { ours: repeat(contest.ours), theirs: repeat(contest.theirs) });
}

/** Both sides in turn, round after round, so that whatever else the machine does befalls both. */
async function compareRuns(name: string, contest: Contest<number | Promise<number>>): Promise<Row> {
  await contest.ours();
  await contest.theirs();
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await speed(contest.ours));
    theirs.push(await speed(contest.theirs));
  }
  const ratio = median(ours.map((speed, round) => speed / theirs[round]!));
  const figures = {
    'ours, thousand/s': shown(median(ours)),
    'theirs, thousand/s': shown(median(theirs)),
    ratio: shown(ratio),
  };
  return { name, figures };
}

async function speed(once: () => number | Promise<number>): Promise<number> {
  const start = performance.now();
  const times = await once();
  return times / (performance.now() - start);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await envelope((text) => console.log(text));
