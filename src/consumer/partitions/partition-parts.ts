import { LiftbridgeError } from '../../errors.js';
import type { ResolvedConsumerOptions } from '../consumer-options.js';
import type { ConsumerContext } from '../context.js';
import type { Membership } from '../membership/membership.js';
import { OWNER_SILENCE, RELEASE_TIMEOUT_MS, STORE_GRACE_MS } from '../timing.js';
import { Announcements } from './announcements.js';
import { Assignments } from './assignments.js';
import { Checkpoints } from './checkpoints.js';
import type { HeldPartition } from './held-partition.js';
import { Ownership } from './ownership.js';
import { waitForCursors } from './wait-for-cursors.js';
import { WriteProbe } from './write-probe.js';

/** The session, as its partitions use it. */
export interface PartitionsOwner {
  /** A partition has a message to process. */
  ready(held: HeldPartition): void;
  /** A stream was deleted, or seems to have been; `deletedBy`: the broker that reported it. */
  gone(stream: string, deletedBy: string | undefined): void;
  /** The assignments may have changed: polls them now. */
  hurry(): void;
  /** Resolves when the coordinator has confirmed the assignments. */
  waitUntilConfirmed(): Promise<void>;
  /** Ends the consumer. */
  fail(error: unknown): void;
  report(error: unknown): void;
}

/** The parts that acquire, hold and release the partitions of one member. */
export interface PartitionParts {
  readonly ownership: Ownership;
  readonly checkpoints: Checkpoints;
  readonly probe: WriteProbe;
  readonly assignments: Assignments;
}

/** Puts the parts together. */
export function partitionParts(
  consumer: {
    readonly context: ConsumerContext;
    readonly groupId: string;
    readonly options: ResolvedConsumerOptions;
  },
  membership: Membership,
  owner: PartitionsOwner,
): PartitionParts {
  const { context, groupId, options } = consumer;
  const ownership = new Ownership(context, groupId);
  const checkpoints = new Checkpoints(context, membership, ownership);
  const cursorIds = [ownership.cursorId, checkpoints.cursorId];
  const probe = new WriteProbe(context, cursorIds);
  const { onAssigned, onRevoked, autoOffset, revokeTimeout: patience } = options;
  const report = (error: unknown): void => owner.report(error);
  const assignments: Assignments = new Assignments(
    context,
    membership,
    new Announcements(onAssigned, (error) => owner.fail(error)),
    {
      cluster: context.cluster,
      groupId,
      autoOffset,
      checkpoints,
      ownership,
      silence: silenceOf(membership.consumerTimeout),
      patience: patience + STORE_GRACE_MS,
      waitUntilReadable: (held) => waitForCursors(context.cluster, cursorIds, held),
      canWrite: (held, within) => probe.canWrite(held, within),
      waitUntilConfirmed: () => owner.waitUntilConfirmed(),
    },
    { checkpoints, ownership, onRevoked, patience, storeTimeout: RELEASE_TIMEOUT_MS, report },
    {
      ready: (held) => owner.ready(held),
      lost: (held) => assignments.releaseLost(held),
      gone: ({ stream }, error) =>
        owner.gone(stream, LiftbridgeError.is(error, 'STREAM_DELETED') ? error.broker : undefined),
      failed: (_held, error) => owner.fail(error),
      stuck: (_held, error) => owner.report(error),
      hurry: () => owner.hurry(),
    },
  );
  return { ownership, checkpoints, probe, assignments };
}

function silenceOf(consumerTimeout: number): number {
  const { share, least, most } = OWNER_SILENCE;
  return Math.min(most, Math.max(least, consumerTimeout * share));
}
