import { type ActivityEvent, decodeActivity } from '../admin/activity.js';
import { LiftbridgeError, NoSuchStreamError } from '../errors.js';
import { ACTIVITY_STREAM } from '../options.js';
import type { Message } from '../protocol/received-message.js';
import type { SubscribeOptions } from './positions.js';
import type { Subscription } from './subscription.js';

/** Options of `client.activity`; they mean what they mean in `subscribe`. @inline */
export type ActivityOptions = Pick<SubscribeOptions, 'startAt' | 'stopAt' | 'signal' | 'timeout'>;

/**
 * The events of the activity stream, for one loop, which ends after `close` as that of a `Subscription` does. Returned by
 * `client.activity`.
 */
export class ActivityFeed implements AsyncIterable<ActivityEvent>, AsyncDisposable {
  readonly #subscription: Subscription;

  /** @internal */
  static create(subscription: Subscription): ActivityFeed {
    return new ActivityFeed(subscription);
  }

  private constructor(subscription: Subscription) {
    this.#subscription = subscription;
  }

  /** The offset in the activity stream that comes next: `startAt: { offset: position }` goes on there. */
  get position(): bigint {
    return this.#subscription.position;
  }

  /** The events, one at a time. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ActivityEvent, void, undefined> {
    for await (const message of this.#subscription) yield decode(message);
  }

  /** Ends the loop. Idempotent. */
  async close(): Promise<void> {
    await this.#subscription.close();
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Subscribes to the activity stream and decodes what comes. */
export async function openActivity(
  subscribe: (stream: string, options: SubscribeOptions) => Promise<Subscription>,
  options: ActivityOptions,
): Promise<ActivityFeed> {
  try {
    return ActivityFeed.create(await subscribe(ACTIVITY_STREAM, options));
  } catch (cause) {
    if (!LiftbridgeError.is(cause, 'NO_SUCH_STREAM') && !LiftbridgeError.is(cause, 'NO_SUCH_PARTITION')) throw cause;
    throw new NoSuchStreamError(
      'activity failed: the server keeps no activity stream. Set activity.stream.enabled on the server.',
      { operation: 'activity', stream: ACTIVITY_STREAM, cause },
    );
  }
}

/** Any client may publish to the activity stream, also a message that is no event. */
function decode(message: Message): ActivityEvent {
  try {
    return decodeActivity(message);
  } catch (cause) {
    throw LiftbridgeError.from(cause, { operation: 'activity', stream: ACTIVITY_STREAM });
  }
}
