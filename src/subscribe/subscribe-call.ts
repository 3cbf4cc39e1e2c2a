import { monotonicNow } from '../async/clock.js';
import { deferred } from '../async/deferred.js';
import { clearTimeout, setTimeout } from '../async/timers.js';
import type { BrokerTarget, Cluster, Waiting } from '../cluster/cluster-api.js';
import type { ErrorContext } from '../errors.js';
import { decodeMessage } from '../protocol/message.js';
import { ReceivedMessage } from '../protocol/received-message.js';
import type { DuplexStream } from '../transport/duplex.js';
import { RpcFailure, Status } from '../transport/status.js';
import type { StreamEnd } from '../transport/stream-end.js';

/** Largest message to take: more than any sensible server is configured to store. */
const LARGEST_MESSAGE = 64 * 1024 * 1024;

/** A Subscribe call that ended before the broker confirmed it. */
export class NotConfirmed extends Error {
  override readonly name = 'NotConfirmed';

  constructor(readonly end: StreamEnd) {
    super(end.message);
  }
}

/** Receives what a call delivers: every message of a chunk at once. */
export type OnMessages = (messages: ReceivedMessage[], bytes: number) => void;

/**
 * Opens a Subscribe call and waits until the broker has confirmed it with its empty first message. Rejects with
 * NotConfirmed, with what `cluster.session` rejects with, or with the reason of the signal.
 */
export async function openSubscribeCall(
  cluster: Cluster,
  target: BrokerTarget,
  request: Uint8Array,
  onMessages: OnMessages,
  waiting: Waiting & { readonly place?: ErrorContext | undefined },
): Promise<DuplexStream> {
  const ends = monotonicNow() + (waiting.timeout ?? Number.POSITIVE_INFINITY);
  const session = await cluster.session(target, waiting, { operation: 'Subscribe', ...waiting.place });
  const stream = session.open('/proto.API/Subscribe', { maxMessageBytes: LARGEST_MESSAGE });
  const confirmed = deferred();
  receive(stream, onMessages, confirmed.resolve);
  stream.send(request);
  stream.halfClose();
  await confirmation(stream, confirmed.promise, ends, waiting.signal);
  return stream;
}

function receive(stream: DuplexStream, onMessages: OnMessages, confirm: () => void): void {
  let confirmed = false;
  let messages: ReceivedMessage[] = [];
  let bytes = 0;
  stream.onFrames((source, start, end) => {
    if (confirmed) {
      messages.push(decodeMessage(source, start, end, new ReceivedMessage()));
      bytes += end - start;
      return;
    }
    confirmed = true;
    confirm();
  });
  stream.onBatch(() => {
    if (messages.length === 0) return;
    const [arrived, size] = [messages, bytes];
    messages = [];
    bytes = 0;
    onMessages(arrived, size);
  });
}

async function confirmation(
  stream: DuplexStream,
  confirmed: Promise<void>,
  ends: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const abort = (): void => stream.cancel('subscribe was aborted');
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  let late = false;
  const expire = (): void => {
    late = true;
    stream.cancel('the broker did not confirm the subscription in time');
  };
  const timer = Number.isFinite(ends) ? setTimeout(expire, Math.max(0, ends - monotonicNow())) : undefined;
  try {
    const end = await Promise.race([confirmed, stream.ended]);
    if (end === undefined) return;
    signal?.throwIfAborted();
    if (late) throw new RpcFailure(Status.DEADLINE_EXCEEDED, end.message, { sent: true });
    throw new NotConfirmed(end);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}
