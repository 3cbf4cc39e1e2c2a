import { type ActivityEvent, decodeActivity } from '../admin/activity.js';
import { LiftbridgeError, NoSuchStreamError } from '../errors.js';
import { ACTIVITY_STREAM } from '../options.js';
import type { Message } from '../protocol/received-message.js';
import type { SubscribeOptions } from './positions.js';
import type { Subscription } from './subscription.js';

/** Options of `client.activity`; they mean what they mean in `subscribe`. @inline */
export type ActivityOptions = Pick<SubscribeOptions, 'startAt' | 'stopAt' | 'signal' | 'timeout'>;

/** Subscribes to the activity stream and decodes what comes. */
export async function openActivity(
  subscribe: (stream: string, options: SubscribeOptions) => Promise<Subscription>,
  options: ActivityOptions,
): Promise<AsyncIterable<ActivityEvent>> {
  try {
    return decoded(await subscribe(ACTIVITY_STREAM, options));
  } catch (cause) {
    if (!LiftbridgeError.is(cause, 'NO_SUCH_STREAM') && !LiftbridgeError.is(cause, 'NO_SUCH_PARTITION')) throw cause;
    throw new NoSuchStreamError(
      'activity failed: the server keeps no activity stream. Set activity.stream.enabled on the server.',
      { operation: 'activity', stream: ACTIVITY_STREAM, cause },
    );
  }
}

async function* decoded(subscription: Subscription): AsyncGenerator<ActivityEvent, void, undefined> {
  for await (const message of subscription) yield decode(message);
}

/** Any client may publish to the activity stream, also a message that is no event. */
function decode(message: Message): ActivityEvent {
  try {
    return decodeActivity(message);
  } catch (cause) {
    throw LiftbridgeError.from(cause, { operation: 'activity', stream: ACTIVITY_STREAM });
  }
}
