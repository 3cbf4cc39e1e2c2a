import { monotonicNow } from '../async/clock.js';
import { sleep } from '../async/sleep.js';
import type { Cluster, Waiting } from '../cluster/cluster-api.js';
import { WITHOUT_NATS } from '../errors/server-texts.js';
import {
  AmbiguousSubjectError,
  errorFromAckError,
  InvalidArgumentError,
  NoSuchStreamError,
  ServerError,
} from '../errors.js';
import { checkValue, type PublishDefaults, publishSubject } from '../options.js';
import { ackPolicyCode } from '../protocol/ack-policy.js';
import { PublishToSubjectRequest } from '../protocol/generated/api.js';
import { type Ack, toAck } from '../protocol/received-ack.js';
import { choosePartition } from './choose-partition.js';
import { tooLargeError } from './message-errors.js';
import type { PartitionerMessage } from './partitioners.js';
import { type PublishOptions, readMessage, toBytes, toHeaders, type Value, withDefaults } from './publish-options.js';
import { NATS_PAUSE_MS } from './timing.js';

const NOTHING = new Uint8Array(0);

/**
 * Publishes to a NATS subject through a broker; the streams on that subject store it. Resolves with the first ack, or with null
 * for ackPolicy 'none'. It is sent only once, since an interrupted attempt may have been stored. Only a refusal of a broker
 * without NATS is tried again, until the timeout.
 */
export async function publishToSubject(
  cluster: Cluster,
  subject: string,
  value: Value,
  given: PublishOptions,
  limits: {
    readonly ackTimeout: number;
    readonly maxMessageBytes: number;
    readonly publishDefaults?: PublishDefaults | undefined;
  },
): Promise<Ack | null> {
  checkValue('publishToSubject', 'subject', subject, publishSubject);
  const read = readMessage('publishToSubject', value, given);
  const { publishDefaults } = limits;
  const options = publishDefaults === undefined ? read : withDefaults(read, publishDefaults);
  refuseExpectedOffset(options);
  if (options.signal?.aborted) throw options.signal.reason;
  const content = { key: toBytes(options.key), value: toBytes(value) };
  const headers = new Map(toHeaders(options.headers) ?? []);
  const waiting = { signal: options.signal, timeout: options.timeout ?? limits.ackTimeout };
  const target = await partitionSubject(cluster, subject, content, options, waiting);
  const request: PublishToSubjectRequest = {
    key: content.key ?? NOTHING,
    value: content.value ?? NOTHING,
    subject: target,
    headers,
    ackInbox: options.ackInbox ?? '',
    correlationId: options.correlationId ?? '',
    ackPolicy: ackPolicyCode(options.ackPolicy ?? 'leader'),
  };
  const size = PublishToSubjectRequest.encode(request).finish().length;
  if (size > limits.maxMessageBytes) throw tooLargeError(subject, size, limits.maxMessageBytes);
  const { ack } = await untilNatsIsUp(waiting, (left) => cluster.callAny('publishToSubject', request, left));
  if (ack === undefined) return null;
  const error = errorFromAckError(ack.ackError, { stream: ack.stream, operation: 'PublishToSubject' });
  if (error !== null) throw error;
  return toAck(ack);
}

/** Repeats a call that brokers without NATS refuse, and that therefore had no effect, until its timeout. */
async function untilNatsIsUp<Result>(
  { signal, timeout }: { readonly signal?: AbortSignal | undefined; readonly timeout: number },
  call: (left: Waiting) => Promise<Result>,
): Promise<Result> {
  const deadline = monotonicNow() + timeout;
  for (;;) {
    try {
      return await call({ signal, timeout: deadline - monotonicNow() });
    } catch (error) {
      if (!isWithoutNats(error) || monotonicNow() + NATS_PAUSE_MS >= deadline) throw error;
    }
    await sleep(NATS_PAUSE_MS, signal);
  }
}

function isWithoutNats(error: unknown): boolean {
  return error instanceof ServerError && WITHOUT_NATS.test(error.text);
}

function refuseExpectedOffset(options: PublishOptions): void {
  if (options.expectedOffset === undefined || BigInt(options.expectedOffset) === -1n) return;
  throw new InvalidArgumentError(
    `publishToSubject: expected expectedOffset to be absent, got ${options.expectedOffset} (${typeof options.expectedOffset}); only publish can carry it`,
    { operation: 'publishToSubject' },
  );
}

/** The subject of the partition that the message belongs to: the stream's own for 0, `subject.n` for n. */
async function partitionSubject(
  cluster: Cluster,
  subject: string,
  content: Pick<PartitionerMessage, 'key' | 'value'>,
  options: PublishOptions,
  waiting: { readonly signal?: AbortSignal | undefined; readonly timeout: number },
): Promise<string> {
  if (options.partition !== undefined) return onPartition(subject, options.partition);
  if (options.partitioner === undefined) return subject;
  await cluster.refresh(undefined, waiting);
  const streams = cluster.streamsOnSubject(subject);
  const counts = new Set(streams.map((stream) => cluster.partitionCount(stream)));
  const [stream] = streams;
  const [count] = counts;
  if (stream === undefined || count === undefined) throw unknownSubject(subject);
  if (counts.size > 1) throw ambiguous(cluster, subject, streams);
  const message = { stream, ...content, partitioner: options.partitioner };
  return onPartition(subject, choosePartition(message, count));
}

function onPartition(subject: string, partition: number): string {
  return partition === 0 ? subject : `${subject}.${partition}`;
}

function unknownSubject(subject: string): NoSuchStreamError {
  return new NoSuchStreamError(
    `publishToSubject to "${subject}" refused: a partitioner needs a stream on that subject, and there is none. Nothing was sent.`,
    { operation: 'publishToSubject' },
  );
}

function ambiguous(cluster: Cluster, subject: string, streams: readonly string[]): AmbiguousSubjectError {
  const found = streams.map((stream) => `"${stream}" with ${cluster.partitionCount(stream)}`).join(', ');
  return new AmbiguousSubjectError(
    `publishToSubject to "${subject}" refused: streams with different numbers of partitions listen there (${found}). Give a partition instead of a partitioner. Nothing was sent.`,
    { operation: 'publishToSubject' },
  );
}
