import { randomBytes } from 'node:crypto';
import type { Waiting } from '../../cluster/cluster-api.js';
import type { ConsumerContext } from '../context.js';

/**
 * The state of a partition. The members of a group tell it each other by a cursor of their own, apart from the group's:
 * - `held`: its owner processes messages of it
 * - `releasing`: its owner knows that it goes to another member, and is about to finish
 * - `released`: the group's cursor holds the last offset that its owner has processed
 */
export interface Mark {
  /** Grows from owner to owner: servers before 1.10 answer with the highest value that a cursor ever had. */
  readonly generation: bigint;
  readonly owner: bigint;
  readonly state: 'held' | 'releasing' | 'released';
}

const STATES = ['held', 'releasing', 'released'] as const;
const STATE_BITS = 2n;
const OWNER_BITS = 31n;

/** A mark as the 63 bits of a cursor. */
export function encodeMark({ generation, owner, state }: Mark): bigint {
  return (((generation << OWNER_BITS) | owner) << STATE_BITS) | BigInt(STATES.indexOf(state));
}

/** The mark in a cursor; null when there is none. */
export function decodeMark(value: bigint): Mark | null {
  if (value < 0n) return null;
  const bits = value >> STATE_BITS;
  return {
    generation: bits >> OWNER_BITS,
    owner: bits & ((1n << OWNER_BITS) - 1n),
    state: STATES[Number(value & 3n)] ?? 'released',
  };
}

/** Reads and writes the marks of one member. */
export class Ownership {
  /** This member, in this process: a restarted process is another member. */
  readonly self = BigInt(randomBytes(4).readUInt32BE() >>> 1);
  /** The cursors that marks are kept in. */
  readonly cursorId: string;
  readonly #context: ConsumerContext;

  constructor(context: ConsumerContext, groupId: string) {
    this.#context = context;
    this.cursorId = `__owner:${groupId}`;
  }

  /** The mark of a partition; null when the group has never had it, or only through clients that keep no marks. */
  async read(stream: string, partition: number, waiting: Waiting): Promise<Mark | null> {
    return decodeMark(await this.#context.cursors.fetch(this.cursorId, stream, partition, waiting));
  }

  async write(stream: string, partition: number, mark: Mark, waiting: Waiting): Promise<void> {
    await this.#context.cursors.set(this.cursorId, stream, partition, encodeMark(mark), waiting);
  }

  /** Whether a later owner has acquired the partition since that generation. */
  isOvertaken(mark: Mark | null, generation: bigint): boolean {
    return mark !== null && mark.owner !== this.self && mark.generation > generation;
  }

  /** Whether the mark says that another member may still process messages. */
  isTaken(mark: Mark | null): boolean {
    return mark !== null && mark.owner !== this.self && mark.state !== 'released';
  }
}
