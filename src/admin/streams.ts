import { monotonicNow } from '../async/clock.js';
import { type AdminCluster, untilCertain } from '../cluster/cluster-api.js';
import { quoted } from '../errors/quote.js';
import { LiftbridgeError, StreamExistsError } from '../errors.js';
import type { CallOptions } from '../options.js';
import {
  type CreateStreamOptions,
  createStreamRequest,
  type PauseStreamOptions,
  readCreateStream,
  readDeleteStream,
  readPauseStream,
  readSetStreamReadonly,
  type SetStreamReadonlyOptions,
} from './stream-options.js';
import { waitForLeaders } from './wait-for-leaders.js';

/** Creates a stream and, unless told otherwise, waits until every partition has a leader that answers. Returns the options as they were read. */
export async function createStream(
  cluster: AdminCluster,
  subject: string,
  name: string,
  given: CreateStreamOptions = {},
): Promise<{ readonly options: CreateStreamOptions; readonly created: boolean }> {
  const options = readCreateStream(subject, name, given);
  const started = monotonicNow();
  const known = cluster.metadata.streams.has(name);
  const trace = { ambiguous: false };
  let created = true;
  try {
    await cluster.callAny('createStream', createStreamRequest(subject, name, options), { ...options, trace });
  } catch (error) {
    const mayBeOurs = LiftbridgeError.is(error, 'STREAM_EXISTS') && trace.ambiguous && !known;
    if (!mayBeOurs || !(await matches(cluster, subject, name, options))) {
      if (options.ifNotExists !== true || !LiftbridgeError.is(error, 'STREAM_EXISTS')) throw error;
      await checkSame(cluster, subject, name, options, error);
      created = false;
    }
  }
  cluster.noteCreated(name);
  if (options.waitForLeaders === false) return { options, created };
  const total = options.timeout ?? cluster.options.requestTimeout;
  const timeout = Math.max(0, total - (monotonicNow() - started));
  await waitForLeaders(cluster, name, options.partitions ?? 1, { signal: options.signal, timeout });
  return { options, created };
}

/** Rejects with STREAM_EXISTS when the stream that exists has another subject or number of partitions than was asked for. */
async function checkSame(
  cluster: AdminCluster,
  subject: string,
  name: string,
  { partitions = 1, signal, timeout = cluster.options.requestTimeout }: CreateStreamOptions,
  cause: LiftbridgeError,
): Promise<void> {
  await untilCertain(cluster, { stream: name }, { signal, timeout });
  const stream = cluster.metadata.streams.get(name);
  if (stream?.subject === subject && stream.partitions.size === partitions) return;
  const found =
    stream === undefined
      ? 'it cannot be compared: the cluster does not tell it yet'
      : `it has subject ${quoted(stream.subject)} and ${counted(stream.partitions.size)}, not ${quoted(subject)} and ${counted(partitions)}`;
  const message = `CreateStream of stream ${quoted(name)} failed: there is a stream of that name already, and ${found}.`;
  throw new StreamExistsError(message, { operation: 'CreateStream', stream: name, cause });
}

function counted(partitions: number): string {
  return partitions === 1 ? '1 partition' : `${partitions} partitions`;
}

/**
 * Whether the stream that exists is the one that was asked for: an attempt whose answer was lost may have created it,
 * and the next one was told that it exists.
 */
async function matches(
  cluster: AdminCluster,
  subject: string,
  name: string,
  options: CreateStreamOptions,
): Promise<boolean> {
  await untilCertain(cluster, { stream: name }, { signal: options.signal, timeout: cluster.options.requestTimeout });
  const stream = cluster.metadata.streams.get(name);
  if (stream === undefined || stream.subject !== subject) return false;
  const replicas = options.replicationFactor ?? 1;
  return (
    stream.partitions.size === (options.partitions ?? 1) &&
    (replicas === 'max' || [...stream.partitions.values()].every((partition) => partition.replicas.length === replicas))
  );
}

/** Deletes a stream with all its messages. */
export async function deleteStream(cluster: AdminCluster, name: string, given: CallOptions = {}): Promise<void> {
  const options = readDeleteStream(name, given);
  const trace = { ambiguous: false };
  try {
    await cluster.callAny('deleteStream', { name }, { ...options, trace });
  } catch (error) {
    // An attempt whose answer was lost may have deleted it: it is gone, which is what was asked for.
    if (!LiftbridgeError.is(error, 'NO_SUCH_STREAM') || !trace.ambiguous) throw error;
  }
  cluster.forget(name);
}

/** Pauses partitions of a stream. */
export async function pauseStream(cluster: AdminCluster, name: string, given: PauseStreamOptions = {}): Promise<void> {
  const options = readPauseStream(name, given);
  const { partitions = [], resumeAll = false } = options;
  const request = { name, partitions: [...partitions], resumeAll };
  await cluster.callAny('pauseStream', request, { ...options, about: name });
}

/** Closes partitions for new messages, or opens them again. */
export async function setStreamReadonly(
  cluster: AdminCluster,
  name: string,
  given: SetStreamReadonlyOptions = {},
): Promise<void> {
  const options = readSetStreamReadonly(name, given);
  const { partitions = [], readonly = true } = options;
  const request = { name, partitions: [...partitions], readonly };
  await cluster.callAny('setStreamReadonly', request, { ...options, about: name });
}
