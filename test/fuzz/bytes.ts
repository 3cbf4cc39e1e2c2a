import {
  decodeAck as decodeAckEnvelope,
  decodeMessage as decodeMessageEnvelope,
  EnvelopeError,
  encodeAck,
  encodeMessage as encodeMessageEnvelope,
  isEnvelope,
} from 'liftbridge-client/envelope';
import { readMetadata } from '../../src/cluster/metadata-reader.js';
import { ByteWriter } from '../../src/protocol/byte-writer.js';
import { FetchMetadataResponse } from '../../src/protocol/generated/api.js';
import { decodeMessage, emptyMessage, encodeMessage } from '../../src/protocol/message.js';
import { decodePublishRequest, encodePublishRequest } from '../../src/protocol/publish-request.js';
import { decodePublishResponse, encodePublishResponse } from '../../src/protocol/publish-response.js';
import { ReceivedMessage } from '../../src/protocol/received-message.js';
import { WireError } from '../../src/protocol/wire-reader.js';
import { FrameError, FrameSplitter, frame } from '../../src/transport/frames.js';
import { mutated, Random } from './random.js';
import { pure, typed } from './target.js';

const BATCH = 1_000;
const HEADERS = [['name', Buffer.from('value')]] as const;
const ACK = {
  ...{ stream: 'orders', partitionSubject: 'orders', msgSubject: 'orders.1', offset: 2n ** 60n, ackInbox: 'acks' },
  ...{ correlationId: 'id', ackPolicy: 1 as const, receptionTimestamp: 5n, commitTimestamp: -6n, ackError: 2 as const },
};

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  return writer.take();
}

const messageEnvelope = encodeMessageEnvelope('value', { key: 'key', headers: { name: 'value' }, correlationId: 'id' });
const ackEnvelope = encodeAck({ stream: 'orders', offset: 5n, correlationId: 'id' } as never);

/** Envelopes that any client may publish on NATS. */
export const envelopes = pure('envelopes', 'envelopes', (seed) => {
  const random = new Random(seed);
  for (let i = 0; i < BATCH; i++) {
    const data = mutated(random, random.below(2) === 0 ? messageEnvelope : ackEnvelope);
    isEnvelope(data);
    typed(() => decodeAckEnvelope(data), EnvelopeError);
    typed(() => {
      const message = decodeMessageEnvelope(data);
      message.text();
      JSON.stringify(message.headers);
    }, EnvelopeError);
  }
  if (decodeMessageEnvelope(messageEnvelope).text() !== 'value') throw new Error('a sound envelope is read wrongly');
  return BATCH;
});

const request = written((writer) =>
  encodePublishRequest(writer, {
    ...{ key: Buffer.from('key'), value: Buffer.from('value'), stream: 'orders', partition: -3, headers: HEADERS },
    ...{ ackInbox: 'acks', correlationId: 'id', ackPolicy: 1, expectedOffset: -1n },
  }),
);
const response = written((writer) =>
  encodePublishResponse(writer, { ack: ACK, asyncError: { code: 3, message: 'größe' }, correlationId: 'id' }),
);
const message = written((writer) =>
  encodeMessage(writer, {
    ...{ offset: 7n, key: 'key', value: 'value', timestamp: 5n, stream: 'orders', partition: 3, subject: 'orders.3' },
    ...{ replySubject: 'reply', headers: HEADERS, ackInbox: '', correlationId: '', ackPolicy: 0 as const },
  }),
);
const metadata = Buffer.from(
  FetchMetadataResponse.encode(
    FetchMetadataResponse.fromPartial({
      brokers: [{ id: 'a', host: '127.0.0.1', port: 9292 }],
      streamMetadata: [
        { name: 'orders', subject: 'orders', partitions: new Map([[0, { id: 0, leader: 'a', replicas: ['a', 'b'] }]]) },
      ],
    } as never),
  ).finish(),
);
const DECODERS: readonly (readonly [Buffer, (data: Buffer) => unknown])[] = [
  [request, (data) => decodePublishRequest(data)],
  [response, (data) => decodePublishResponse(data)],
  [message, (data) => decodeMessage(data, 0, data.length, emptyMessage(), true)],
  [message, (data) => decodeMessage(data, 0, data.length, new ReceivedMessage()).time],
];

/** The hand-written decoders and the metadata decoder. */
export const codecs = pure('codecs', 'messages', (seed) => {
  const random = new Random(seed);
  for (let i = 0; i < BATCH; i++) {
    const [sound, decode] = random.pick(DECODERS);
    const data = mutated(random, sound);
    typed(() => decode(data), WireError);
  }
  // The generated decoder of a part throws its own errors; the caller gets a typed one.
  for (let i = 0; i < 20; i++) typed(() => [...readMetadata(mutated(random, metadata))], Error);
  return BATCH + 20;
});

/** Sequences of gRPC frames, split anywhere, some of them invalid. */
export const frames = pure('frames', 'frames', (seed) => {
  const random = new Random(seed);
  const sound = Array.from({ length: BATCH }, () => random.bytes(random.below(random.below(20) === 0 ? 3_000 : 40)));
  const bytes = Buffer.concat(sound.map(frame));
  for (const data of [bytes, mutated(random, bytes)]) {
    const splitter = new FrameSplitter(1 << 16);
    const received: Buffer[] = [];
    const limit = random.pick([1, 2, 7, 100, 5_000]);
    typed(() => {
      for (let at = 0; at < data.length; ) {
        const next = at + 1 + random.below(limit);
        splitter.push(data.subarray(at, next), (source, start, end) => received.push(source.subarray(start, end)));
        if (splitter.held > splitter.buffered * 1.25 + 5_000) throw new Error('frames cost more memory than they have');
        at = next;
      }
      splitter.finish();
    }, FrameError);
    if (data === bytes && !Buffer.concat(received.map(frame)).equals(bytes))
      throw new Error('sound frames are changed');
  }
  return 2 * BATCH;
});
