import { backoffDelay } from '../../async/backoff.js';
import { monotonicNow } from '../../async/clock.js';
import { within } from '../../async/deadline.js';
import { sleep } from '../../async/sleep.js';
import { clearTimeout, setTimeout } from '../../async/timers.js';
import { HandlerError, LiftbridgeError } from '../../errors.js';
import type { PartitionsCallback } from '../consumer-options.js';
import { SLOW_RELEASE_MS, STORE_BACKOFF, STORE_CALL_TIMEOUT_MS } from '../timing.js';
import type { Checkpoints } from './checkpoints.js';
import type { HeldPartition } from './held-partition.js';
import type { Ownership } from './ownership.js';

/** Dependencies of a release. */
export interface ReleaseContext {
  readonly checkpoints: Checkpoints;
  readonly ownership: Ownership;
  readonly onRevoked: PartitionsCallback | undefined;
  /** Milliseconds for messages that are being processed and for `onRevoked`, together. */
  readonly patience: number;
  /** Milliseconds for storing the position and the mark, together; tried again within them while brokers are away. */
  readonly storeTimeout: number;
  /** Told of what went wrong on the way. */
  readonly report: (error: unknown) => void;
}

/**
 * Releases partitions of a stream: waits for the message that is being processed and for `onRevoked`, stores the
 * position, and marks the partition as released for the next owner. Takes bounded time and never rejects.
 */
export async function releasePartitions(
  stream: string,
  partitions: readonly HeldPartition[],
  deps: ReleaseContext,
): Promise<void> {
  for (const held of partitions) held.stop();
  let saying: Promise<unknown> = Promise.resolve();
  const slow = setTimeout(() => {
    saying = Promise.allSettled(partitions.map((held) => say(held, 'releasing', deps, deps.storeTimeout)));
  }, SLOW_RELEASE_MS);
  const ends = monotonicNow() + deps.patience;
  await within(ends - monotonicNow(), Promise.all(partitions.map((held) => held.idle())));
  for (const held of partitions) held.expire();
  await announce(stream, partitions, ends, deps);
  clearTimeout(slow);
  await saying;
  const storeEnds = monotonicNow() + deps.storeTimeout;
  await Promise.all(partitions.map((held) => finish(held, deps, storeEnds)));
}

async function announce(
  stream: string,
  partitions: readonly HeldPartition[],
  ends: number,
  { onRevoked, report }: ReleaseContext,
): Promise<void> {
  const known = partitions.filter(({ announced }) => announced).map(({ partition }) => partition);
  if (known.length === 0 || onRevoked === undefined) return;
  const called = (async () => onRevoked(stream, known))().catch((cause: unknown) => {
    const text = `onRevoked for stream "${stream}", partitions ${known.join(', ')} threw`;
    report(new HandlerError(text, { stream, operation: 'onRevoked', cause }));
  });
  await within(ends - monotonicNow(), called);
}

async function finish(held: HeldPartition, deps: ReleaseContext, ends: number): Promise<void> {
  // No message of it was processed, and its mark belongs to its present owner.
  if (held.generation === 0n || (held.lost && held.position === null)) return;
  for (let attempt = 1; ; attempt++) {
    try {
      await storeAndSay(held, deps, ends);
      return;
    } catch (error) {
      const isPassing = LiftbridgeError.is(error) && error.retryable;
      const delay = backoffDelay(attempt, STORE_BACKOFF);
      if (!isPassing || monotonicNow() + delay >= ends) {
        deps.report(error);
        return;
      }
      await sleep(delay);
    }
  }
}

async function storeAndSay(held: HeldPartition, deps: ReleaseContext, ends: number): Promise<void> {
  const { stream, partition } = held;
  const left = (): number => Math.min(STORE_CALL_TIMEOUT_MS, Math.max(1, ends - monotonicNow()));
  const mark = await deps.ownership.read(stream, partition, { timeout: left() });
  // Another member has waited for long enough and has acquired it: its position must not be set back.
  if (deps.ownership.isOvertaken(mark, held.generation)) return;
  await deps.checkpoints.store(held, left());
  await say(held, 'released', deps, left());
}

async function say(
  held: HeldPartition,
  state: 'releasing' | 'released',
  { ownership }: ReleaseContext,
  timeout: number,
): Promise<void> {
  if (held.position === null && state === 'releasing') return;
  const mark = { generation: held.generation, owner: ownership.self, state };
  await ownership.write(held.stream, held.partition, mark, { timeout });
}
