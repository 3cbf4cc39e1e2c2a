import { clearTimeout, setTimeout } from '../async/timers.js';
import type { BrokerTarget, Cluster, Waiting } from '../cluster/contract.js';
import type { ReceivedMessage } from '../protocol/received-message.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { NotConfirmed, openSubscribeCall } from './subscribe-call.js';

/** What a short look at a partition has shown. */
export interface ProbeResult {
  readonly messages: readonly ReceivedMessage[];
  /** How the broker ended the call; null when the look was over before: enough had come, or nothing more in time. */
  readonly end: StreamEnd | null;
}

/** How far a look goes. `timeout` bounds the confirmation. */
export interface ProbeBounds extends Waiting {
  readonly count: number;
  /** Milliseconds that the broker may say nothing once it has confirmed. */
  readonly patience: number;
}

const CONFIRMATION = 3_000;

/**
 * Opens a Subscribe call for its first `count` messages and cancels it. Rejects with the reason of the signal, or when the broker cannot be reached.
 */
export async function probeRead(
  cluster: Cluster,
  target: BrokerTarget,
  request: Uint8Array,
  { count, patience, signal, timeout }: ProbeBounds,
): Promise<ProbeResult> {
  const messages: ReceivedMessage[] = [];
  let enough!: () => void;
  const filled = new Promise<null>((resolve) => {
    enough = () => resolve(null);
  });
  const collect = (arrived: ReceivedMessage[]): void => {
    for (const message of arrived) if (messages.length < count) messages.push(message);
    if (messages.length >= count) enough();
  };
  let timer: NodeJS.Timeout | undefined;
  try {
    const call = await openSubscribeCall(cluster, target, request, collect, {
      signal,
      timeout: timeout ?? CONFIRMATION,
    });
    const abort = (): void => call.cancel('the look was aborted');
    signal?.addEventListener('abort', abort, { once: true });
    timer = setTimeout(enough, patience);
    const end = await Promise.race([call.ended, filled]);
    signal?.removeEventListener('abort', abort);
    signal?.throwIfAborted();
    call.cancel('the look is over');
    return { messages, end };
  } catch (error) {
    if (error instanceof NotConfirmed) return { messages, end: error.end };
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
