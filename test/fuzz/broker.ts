import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { TestBroker } from 'liftbridge-test-broker';
import { connect } from '../../src/index.js';
import { frameBytes } from '../support/hostile-proxy.js';
import { headerBlock } from '../support/raw-peer.js';
import { mutated, Random } from './random.js';
import type { FuzzTarget } from './target.js';

const LINES = [
  ...[
    'CONNECT {}\r\n',
    'CONNECT {"verbose":true,"headers":true}\r\n',
    'CONNECT {"echo":"x"}\r\n',
    'PING\r\n',
    'PONG\r\n',
  ],
  ...[
    'PUB a 3\r\nabc\r\n',
    'PUB hostile b 0\r\n\r\n',
    'PUB a 999999999\r\n',
    'PUB a -1\r\n',
    'SUB > 1\r\n',
    'SUB a q 2\r\n',
  ],
  ...[
    'HPUB a 12 13\r\nNATS/1.0\r\n\r\nx\r\n',
    'HPUB a 5 3\r\nabc\r\n',
    'UNSUB 1\r\n',
    'UNSUB 2 99\r\n',
    '+OK\r\n',
    '-ERR x\r\n',
  ],
  ...[
    'INFO {}\r\n',
    `SUB ${'x'.repeat(5_000)} 1\r\n`,
    'SUB a..b 1\r\n',
    'PUB a.* 1\r\nx\r\n',
    '\r\n',
    'GET / HTTP/1.1\r\n\r\n',
  ],
].map((line) => Buffer.from(line));
const PATHS = [
  'FetchMetadata',
  'CreateStream',
  'PublishAsync',
  'Subscribe',
  'Publish',
  'SetCursor',
  'JoinConsumerGroup',
];
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const CONNECTIONS = 20;

function natsInput(random: Random): Buffer {
  const lines = Array.from({ length: random.below(8) + 1 }, () => {
    const line = random.pick(LINES);
    return random.below(3) === 0 ? mutated(random, line) : line;
  });
  return Buffer.concat(lines);
}

/** Valid HTTP/2 with hostile gRPC in it: Node itself handles invalid HTTP/2 frames, with its own assertions. */
function grpcInput(random: Random): Buffer {
  const parts = [PREFACE, frameBytes(4, 0, 0, Buffer.alloc(0))];
  for (let id = 1; id < 2 * (random.below(5) + 1); id += 2) {
    const headers = {
      ...{ ':method': 'POST', ':scheme': 'http', ':path': `/proto.API/${random.pick(PATHS)}`, ':authority': 'x' },
      ...{ 'content-type': 'application/grpc', te: 'trailers' },
    };
    const payload = random.bytes(random.below(60));
    const flag = random.below(8) === 0 ? random.below(256) : 0;
    const size = Buffer.alloc(5);
    size[0] = flag;
    size.writeUInt32BE(random.below(4) === 0 ? random.below(2 ** 32) : payload.length, 1);
    parts.push(frameBytes(1, 4, id, headerBlock(headers)));
    parts.push(frameBytes(0, random.below(2), id, Buffer.concat([size, payload])));
  }
  return Buffer.concat(parts);
}

/** Writes the input in pieces, and disconnects. */
async function visit(port: number, input: Buffer, random: Random): Promise<void> {
  const socket = connectSocket(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  for (let at = 0; at < input.length; ) {
    const next = at + 1 + random.below(input.length);
    if (socket.destroyed) break;
    socket.write(input.subarray(at, next));
    at = next;
  }
  if (random.below(2) === 0) socket.end();
  setTimeout(() => socket.destroy(), random.below(20));
  await closed;
}

/** A correct NATS client gets a response, which shows that the earlier lines have reached the listener. */
async function soundPublish(port: number): Promise<void> {
  const socket = connectSocket(port, '127.0.0.1');
  let said = '';
  socket.on('data', (chunk) => {
    said += chunk;
  });
  socket.write('CONNECT {}\r\nPUB hostile 5\r\nsound\r\nPING\r\n');
  while (!said.includes('PONG')) await once(socket, 'data');
  socket.destroy();
}

/** Lines of NATS and frames of gRPC at the broker; after each batch a normal client works. */
export const broker: FuzzTarget = {
  name: 'broker',
  unit: 'connections',
  open: async () => {
    const target = await TestBroker.start({ nats: true });
    const client = await connect(target.addresses);
    await client.createStream('hostile', 'hostile');
    const natsPort = Number(new URL(target.natsUrl!).port);
    const visits = { nats: 0, grpc: 0 };
    const grpcPort = Number(target.addresses[0]!.split(':')[1]);
    return {
      step: async (seed) => {
        const random = new Random(seed);
        await Promise.all(
          Array.from({ length: CONNECTIONS }, (_, i) => {
            const isNats = i % 2 === 0;
            visits[isNats ? 'nats' : 'grpc']++;
            const input = isNats ? natsInput(random) : grpcInput(random);
            return visit(isNats ? natsPort : grpcPort, input, new Random(seed + i));
          }),
        );
        await client.publish('hostile', 'sound');
        await soundPublish(natsPort);
        return CONNECTIONS;
      },
      detail: () => `${visits.nats} of them NATS and ${visits.grpc} gRPC`,
      close: async () => {
        await client.close();
        await target.close();
      },
    };
  },
};
