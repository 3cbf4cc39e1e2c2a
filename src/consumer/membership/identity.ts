import { backoffDelay } from '../../async/backoff.js';
import { pause } from '../../async/sleep.js';
import type { Waiting } from '../../cluster/cluster-api.js';
import { ConsumerExistsError } from '../../errors.js';
import { CURSORS_STREAM } from '../../options.js';
import type { ConsumerContext } from '../context.js';
import { CLAIM_BACKOFF } from '../timing.js';

const OWNER_BITS = 31n;

/**
 * Tells which process has joined under a consumer id last, by a cursor beside those of the group. The server cannot tell
 * two processes with one id apart: the second one may join once the first one has expired, and the first one would continue
 * as a member when it comes back.
 */
export class Identity {
  readonly #context: ConsumerContext;
  readonly #cursorId: string;
  readonly #self: bigint;
  /** The value that this process has written; null before that. */
  #claim: bigint | null = null;

  /** `self`: 31 random bits of this process. */
  constructor(
    context: ConsumerContext,
    member: { readonly groupId: string; readonly consumerId: string },
    self: bigint,
  ) {
    this.#context = context;
    this.#cursorId = `__member:${member.groupId}:${member.consumerId}`;
    this.#self = self;
  }

  /** Notes that this process has joined; tried again until that is stored or the signal aborts. Never rejects. */
  async claim(signal: AbortSignal): Promise<void> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const before = await this.#read({ signal });
        // Values grow: servers before 1.10 return the highest value that a cursor ever had.
        const claim = (((before < 0n ? 0n : before >> OWNER_BITS) + 1n) << OWNER_BITS) | this.#self;
        await this.#context.cursors.set(this.#cursorId, CURSORS_STREAM, 0, claim, { signal });
        this.#claim = claim;
        return;
      } catch {
        await pause(backoffDelay(attempt, CLAIM_BACKOFF), signal);
      }
    }
  }

  /** Whether no other process has joined under the id since. Rejects with a LiftbridgeError. */
  async isOwn(waiting: Waiting): Promise<boolean> {
    return this.#claim === null || (await this.#read(waiting)) === this.#claim;
  }

  #read(waiting: Waiting): Promise<bigint> {
    return this.#context.cursors.fetch(this.#cursorId, CURSORS_STREAM, 0, waiting);
  }
}

/** The error for a member whose id another process has taken. */
export function idTaken({ groupId, consumerId }: { groupId: string; consumerId: string }): ConsumerExistsError {
  const text = `Consumer "${consumerId}" of group "${groupId}" ended: another process joined with its id after it had expired. Give each member an id of its own.`;
  return new ConsumerExistsError(text, { operation: 'consumer.subscribe' });
}
