import { deferred } from '../async/deferred.js';
import { clearTimeout, setTimeout } from '../async/timers.js';
import type { BrokerTarget, Cluster, Waiting } from '../cluster/cluster-api.js';
import type { ReceivedMessage } from '../protocol/received-message.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { NotConfirmed, openSubscribeCall } from './subscribe-call.js';
import { PROBE_CONFIRM_TIMEOUT_MS } from './timing.js';

/** The result of a probe read. */
export interface ProbeResult {
  readonly messages: readonly ReceivedMessage[];
  /** How the broker ended the call; null when the client ended it: enough had arrived, or nothing more in time. */
  readonly end: StreamEnd | null;
  /** Whether the broker confirmed the call. */
  readonly isConfirmed: boolean;
}

/** Limits of a probe read. `timeout` bounds the confirmation. */
export interface ProbeBounds extends Waiting {
  readonly count: number;
  /** Milliseconds after the confirmation in which the messages have to come. */
  readonly silence: number;
}

/** Reads the first `count` messages of a Subscribe call and cancels it. Rejects with the reason of the signal, or when the broker cannot be reached. */
export async function probeRead(
  cluster: Cluster,
  target: BrokerTarget,
  request: Uint8Array,
  { count, silence, signal, timeout }: ProbeBounds,
): Promise<ProbeResult> {
  const messages: ReceivedMessage[] = [];
  const enough = deferred<null>();
  const collect = (arrived: ReceivedMessage[]): void => {
    for (const message of arrived) if (messages.length < count) messages.push(message);
    if (messages.length >= count) enough.resolve(null);
  };
  let timer: NodeJS.Timeout | undefined;
  try {
    const call = await openSubscribeCall(cluster, target, request, collect, {
      signal,
      timeout: timeout ?? PROBE_CONFIRM_TIMEOUT_MS,
    });
    const abort = (): void => call.cancel('the probe read was aborted');
    signal?.addEventListener('abort', abort, { once: true });
    timer = setTimeout(() => enough.resolve(null), silence);
    const end = await Promise.race([call.ended, enough.promise]);
    signal?.removeEventListener('abort', abort);
    signal?.throwIfAborted();
    call.cancel('the probe read is complete');
    return { messages, end, isConfirmed: true };
  } catch (error) {
    if (error instanceof NotConfirmed) return { messages, end: error.end, isConfirmed: false };
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
