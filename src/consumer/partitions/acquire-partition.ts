import { backoffDelay } from '../../async/backoff.js';
import { monotonicNow } from '../../async/clock.js';
import { orAbort, within } from '../../async/deadline.js';
import { pause } from '../../async/sleep.js';
import type { Cluster } from '../../cluster/cluster-api.js';
import { LiftbridgeError, NoOffsetError } from '../../errors.js';
import type { Start } from '../../subscribe/positions.js';
import type { AutoOffset } from '../consumer-options.js';
import {
  CONFIRM_TIMEOUT_MS,
  HANDOVER_BACKOFF,
  LATE_WRITE_MS,
  MOST_BLOCKED_MS,
  WRITE_PROBE_INTERVAL_MS,
} from '../timing.js';
import type { Checkpoints } from './checkpoints.js';
import type { HeldPartition } from './held-partition.js';
import { encodeMark, type Mark, type Ownership } from './ownership.js';
import type { Writability } from './write-probe.js';

/** Dependencies of the wait for the owner of a partition. */
export interface HandoverContext {
  readonly ownership: Pick<Ownership, 'read' | 'isTaken'>;
  /** Milliseconds that an owner has to say that it is about to finish; an owner that does not counts as dead. */
  readonly silence: number;
  /** Milliseconds that an owner has to finish, those without cursors not counted. */
  readonly patience: number;
  /** Resolves when the brokers that keep the cursors show what was stored in them. */
  readonly waitUntilReadable: (held: HeldPartition) => Promise<void>;
  /** Whether the owner could write its mark at present; the answer takes at most `within` milliseconds. */
  readonly canWrite: (held: HeldPartition, within: number) => Promise<Writability>;
  /** Told when all is done that does not depend on another member. */
  readonly ownWorkDone: () => void;
}

/** Dependencies of an acquisition. */
export interface AcquireContext extends HandoverContext {
  readonly cluster: Cluster;
  readonly groupId: string;
  readonly autoOffset: AutoOffset;
  readonly checkpoints: Checkpoints;
  readonly ownership: Ownership;
  /** Resolves when the coordinator has said once more what is assigned. */
  readonly waitUntilConfirmed: () => Promise<void>;
  /** Resolves when the application may be given messages. */
  readonly announce: () => Promise<void>;
}

/**
 * Acquires a partition from its last owner, without gap and, where that member lives, without duplicate: subscribing
 * under the new epoch ends its subscription; it then finishes its message, stores its position and says so. Rejects
 * with NO_OFFSET, with an error worth another attempt, or the reason of `held.signal`.
 */
export async function acquirePartition(held: HeldPartition, deps: AcquireContext): Promise<void> {
  const { stream, partition, signal } = held;
  await deps.waitUntilReadable(held);
  const before = await deps.ownership.read(stream, partition, { signal });
  const { start, isFresh } = await startOf(held, before, deps);
  // The ends of a paused partition are known only once it is resumed.
  await held.open(start, start.at !== 'offset');
  const opened = start.at === 'offset' ? start.offset : held.begins;
  if (opened === null) throw new AcquireRestart('its newest offset is not known yet');
  // Only now: another member may have begun to acquire it at the same time.
  const mark = await awaitHandover(held, before, deps);
  const position = sameMark(before, mark) ? opened : (await positionOf(held, deps)) + 1n;
  if (position < opened) throw new AcquireRestart('its position was set back meanwhile');
  if (isFresh) await deps.checkpoints.begin(held, position);
  if (mark !== null && mark.state !== 'released') held.verifyUntil = monotonicNow() + LATE_WRITE_MS;
  await hold(held, mark, deps);
  // A later owner that has not seen the mark was assigned the partition before now: that would have been told here.
  await orAbort(within(CONFIRM_TIMEOUT_MS, deps.waitUntilConfirmed()), signal);
  signal.throwIfAborted();
  deps.ownWorkDone();
  await orAbort(deps.announce(), signal);
  held.activate(position);
}

/** Something changed meanwhile: acquiring starts again. */
export class AcquireRestart extends Error {
  override readonly name = 'AcquireRestart';
}

/** Where to begin; fresh when the group is to be given that position first. */
async function startOf(
  held: HeldPartition,
  mark: Mark | null,
  deps: AcquireContext,
): Promise<{ readonly start: Start; readonly isFresh: boolean }> {
  const cursor = await deps.checkpoints.fetch(held);
  const isBeyond = cursor >= 0n && (await isBeyondEnd(held, cursor, deps));
  if (cursor >= 0n && !isBeyond) return { start: { at: 'offset', offset: cursor + 1n }, isFresh: false };
  // The group has had it and nothing of it: it was empty then, so all that came since is for the group.
  const wasEmpty = cursor < 0n && mark !== null;
  if (wasEmpty || deps.autoOffset === 'earliest') return { start: { at: 'offset', offset: 0n }, isFresh: isBeyond };
  if (deps.autoOffset !== 'none') return { start: { at: deps.autoOffset }, isFresh: true };
  const { stream, partition } = held;
  const text = `Group "${deps.groupId}" has no position in stream "${stream}", partition ${partition}, and autoOffset is 'none'. Set a cursor, or choose where to begin.`;
  throw new NoOffsetError(text, { stream, partition, operation: 'consumer.subscribe' });
}

/** Whether the cursor is for messages that are not there: of an earlier stream of that name, or lost with a broker. */
async function isBeyondEnd(held: HeldPartition, cursor: bigint, { cluster }: AcquireContext): Promise<boolean> {
  const { stream, partition, signal } = held;
  const request = { stream, partition };
  try {
    const { metadata } = await cluster.callLeader('fetchPartitionMetadata', stream, partition, request, { signal });
    if (metadata === undefined || metadata.newestOffset >= cursor) return false;
    cluster.logger.warn({ stream, partition, cursor }, 'the position of a group is beyond the end: it begins again');
    return true;
  } catch (error) {
    // A paused partition does not return its end, but it has one.
    if (LiftbridgeError.is(error, 'PARTITION_PAUSED')) return false;
    throw error;
  }
}

/** The offset of the group's cursor, from a broker that knows what was stored last. */
async function positionOf(held: HeldPartition, deps: AcquireContext): Promise<bigint> {
  await deps.waitUntilReadable(held);
  return await deps.checkpoints.fetch(held);
}

/**
 * Waits until the owner has finished, or counts as dead; returns its last mark, from `before` on. While marks cannot be
 * read or written the silence of the owner means nothing; a mark older than one that was seen comes from a broker that is
 * recovering.
 */
export async function awaitHandover(
  held: HeldPartition,
  before: Mark | null,
  deps: HandoverContext,
): Promise<Mark | null> {
  const { ownership, silence, patience, ownWorkDone } = deps;
  const begun = monotonicNow();
  let mark = before;
  let quiet = begun;
  let probed = begun;
  let looked = begun;
  let blocked = 0;
  let isBlocked = false;
  let troubled = false;
  for (let look = 1; ; look++) {
    try {
      if (troubled) await deps.waitUntilReadable(held);
      const found = await ownership.read(held.stream, held.partition, { signal: held.signal });
      troubled = isOlder(found, mark);
      if (!troubled) mark = found;
      if (!troubled && (mark === null || !ownership.isTaken(mark))) return mark;
      if ((mark?.state === 'held' || isBlocked) && monotonicNow() - probed > WRITE_PROBE_INTERVAL_MS) {
        const writability = await deps.canWrite(held, silence / 2);
        troubled ||= writability !== 'yes';
        isBlocked = writability === 'no';
        probed = monotonicNow();
      }
    } catch {
      held.signal.throwIfAborted();
      troubled = true;
      isBlocked = true;
    }
    const now = monotonicNow();
    if (isBlocked) blocked += now - looked;
    looked = now;
    if (troubled) quiet = now;
    const isOver = now - begun - Math.min(blocked, MOST_BLOCKED_MS) > patience;
    if (isOver || (mark?.state === 'held' && now - quiet > silence)) return mark;
    ownWorkDone();
    await pause(backoffDelay(look, HANDOVER_BACKOFF), held.signal);
    held.signal.throwIfAborted();
  }
}

/** Marks grow from owner to owner and from state to state. */
function isOlder(mark: Mark | null, than: Mark | null): boolean {
  if (than === null) return false;
  return mark === null || encodeMark(mark) < encodeMark(than);
}

function sameMark(a: Mark | null, b: Mark | null): boolean {
  return a?.generation === b?.generation && a?.owner === b?.owner && a?.state === b?.state;
}

/** Generations follow the epochs, so that the later one counts of two members that acquire a partition at the same time. */
async function hold(held: HeldPartition, mark: Mark | null, { ownership }: AcquireContext): Promise<void> {
  const next = (mark?.generation ?? 0n) + 1n;
  held.generation = next > held.epoch ? next : held.epoch;
  const mine = { generation: held.generation, owner: ownership.self, state: 'held' } as const;
  await ownership.write(held.stream, held.partition, mine, { signal: held.signal });
}
