import { whileNotAborted } from '../cluster/waiting.js';
import { InvalidArgumentError } from '../errors.js';
import { describe } from '../options.js';
import type { Ack } from '../protocol/received-ack.js';
import { type MessageFeed, ReadyFeed, SlowFeed } from './message-feed.js';
import { type OutgoingMessage, outgoing, type PublishOptions, type Value } from './publish-options.js';
import type { Publisher } from './publisher.js';

/** What `publishAll` takes its messages from. @inline */
export type PublishSource = Iterable<Value | OutgoingMessage> | AsyncIterable<Value | OutgoingMessage>;

/**
 * Pulls from the source as fast as the in-flight window allows and hands out the acks in source order. No more acks
 * are kept than the window holds messages: a reader that falls behind stops the source. While others fill the window,
 * one message at a time waits for its turn there, so that every pipeline makes progress.
 */
export async function* publishAll(
  publisher: Publisher,
  stream: string,
  source: PublishSource,
  options: PublishOptions,
  limit: number,
): AsyncGenerator<Ack, void, undefined> {
  const feed = feedOf(source);
  const acks: Promise<Ack | null>[] = [];
  const mayPull = (): boolean => acks.length === 0 || (acks.length < limit && publisher.window.hasRoom);
  try {
    for (;;) {
      while (mayPull() && feed.ready()) acks.push(submit(publisher, stream, feed.take(), options));
      const first = acks[0];
      if (first === undefined) {
        if (feed.done) break;
        if (feed.waiting !== null) await untilAborted(feed.waiting, options.signal);
        continue;
      }
      if (feed.waiting !== null && acks.length < limit) {
        // Acks go out while a slow source has nothing.
        await Promise.race([feed.waiting, settled(first)]);
        if (mayPull() && feed.ready()) continue;
      }
      void acks.shift();
      const ack = await first;
      if (ack !== null) yield ack;
    }
    feed.finish();
  } finally {
    await feed.leave();
  }
}

function feedOf(source: PublishSource): MessageFeed {
  // Text and bytes can be iterated, too, but a message for each character is not what anybody wants.
  if (typeof source === 'object' && source !== null && !(source instanceof Uint8Array)) {
    if (Symbol.asyncIterator in source) return new SlowFeed(source);
    if (Symbol.iterator in source) return new ReadyFeed(source);
  }
  throw new InvalidArgumentError(
    `publishAll: expected source to be an iterable or async iterable of messages, got ${describe(source)}`,
    { operation: 'publishAll' },
  );
}

async function untilAborted(wait: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  await (signal === undefined ? wait : whileNotAborted(wait, signal));
}

/** Resolves when the ack is there, or failed: the loop looks at it itself. */
async function settled(ack: Promise<unknown>): Promise<void> {
  await Promise.allSettled([ack]);
}

function submit(
  publisher: Publisher,
  stream: string,
  entry: Value | OutgoingMessage,
  common: PublishOptions,
): Promise<Ack | null> {
  const ack = attempt(publisher, stream, entry, common);
  // An error is thrown when its turn comes; until then, and for a reader that left, it must not count as unhandled.
  ack.catch(() => undefined);
  return ack;
}

function attempt(
  publisher: Publisher,
  stream: string,
  entry: Value | OutgoingMessage,
  common: PublishOptions,
): Promise<Ack | null> {
  try {
    const { value, options } = outgoing(entry, common);
    return publisher.publish(stream, value, options);
  } catch (error) {
    return Promise.reject(error);
  }
}
