import { types } from 'node:util';
import { orAbort } from '../async/deadline.js';
import { atCallSite, callSite } from '../errors/call-site.js';
import { messageOf } from '../errors/quote.js';
import { HandlerError } from '../errors.js';
import { checkValue, type Rule, streamName } from '../options.js';
import type { Ack } from '../protocol/received-ack.js';
import { AsyncFeed, type MessageFeed, SyncFeed } from './message-feed.js';
import { type PublishResult, refuseNoAcks, resultOf } from './publish-batch.js';
import {
  type OutgoingMessage,
  outgoing,
  type PublishAllOptions,
  type PublishOptions,
  readPublishAll,
  type Value,
} from './publish-options.js';
import type { Publisher } from './publisher.js';

/** The source of the messages of `publishAll`. @inline */
export type PublishSource = Iterable<Value | OutgoingMessage> | AsyncIterable<Value | OutgoingMessage>;

/**
 * Pulls from the source as fast as `maxInFlight` allows and yields the acks in source order. It keeps no more acks than
 * `maxInFlight` has messages, so a reader that falls behind stops the source. While other publishes fill `maxInFlight`, one
 * message at a time waits for room, so that every pipeline makes progress.
 */
export function publishAll(
  publisher: Publisher,
  stream: string,
  source: PublishSource,
  given: PublishAllOptions,
  limit: number,
): AsyncGenerator<Ack | PublishResult, void, undefined> {
  return pipelined(publisher, stream, source, given, limit, publisher.unread.add(stream));
}

async function* pipelined(
  publisher: Publisher,
  stream: string,
  source: PublishSource,
  given: PublishAllOptions,
  limit: number,
  begun: () => void,
): AsyncGenerator<Ack | PublishResult, void, undefined> {
  begun();
  const { onError = 'stop', ...options } = readPublishAll(given);
  checkValue('publishAll', 'stream', stream, streamName);
  const withResults = onError === 'continue';
  if (withResults) refuseNoAcks('publishAll', options);
  let index = 0;
  let failed = false;
  const feed = feedOf(source, stream, options.signal);
  const acks: Promise<Ack | null>[] = [];
  const mayPull = (): boolean => acks.length === 0 || (acks.length < limit && publisher.admission.hasRoom);
  try {
    for (;;) {
      while (mayPull() && feed.ready()) acks.push(submit(publisher, stream, feed.take(), options, withResults));
      const first = acks[0];
      if (first === undefined) {
        if (feed.done) break;
        if (feed.waiting !== null) await untilAborted(feed.waiting, options.signal);
        continue;
      }
      if (feed.waiting !== null) {
        // Acks are yielded while a slow source has no entry.
        await Promise.race([feed.waiting, settled(first)]);
        if (mayPull() && feed.ready()) continue;
      }
      void acks.shift();
      if (withResults) {
        yield await resultOf(index++, first, options.signal);
        continue;
      }
      const ack = await first;
      if (ack !== null) yield ack;
    }
    feed.throwFailure();
  } catch (error) {
    failed = true;
    throw atCallSite(error, callSite());
  } finally {
    const cancelled = feed.cancel();
    // The first failure is reported; an error of the cancelled source is not.
    await (failed ? cancelled.catch(() => undefined) : cancelled);
  }
}

/** Text and bytes are iterable too, but a message for each character is not intended. */
const SOURCE: Rule = {
  expected: 'an iterable or async iterable of messages',
  accepts: (value) =>
    typeof value === 'object' &&
    value !== null &&
    !types.isUint8Array(value) &&
    (Symbol.asyncIterator in value || Symbol.iterator in value),
};

function feedOf(source: PublishSource, stream: string, signal: AbortSignal | undefined): MessageFeed {
  checkValue('publishAll', 'source', source, SOURCE);
  try {
    if (Symbol.asyncIterator in source) return new AsyncFeed(source[Symbol.asyncIterator](), stream, signal);
    return new SyncFeed(source[Symbol.iterator](), stream, signal);
  } catch (cause) {
    const text = `publishAll to stream "${stream}": its source cannot be iterated: ${messageOf(cause)}`;
    throw new HandlerError(text, { stream, operation: 'publishAll', cause });
  }
}

async function untilAborted(wait: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  await (signal === undefined ? wait : orAbort(wait, signal));
}

/** Resolves when the publish has settled; the loop reads the outcome itself. */
async function settled(ack: Promise<unknown>): Promise<void> {
  await Promise.allSettled([ack]);
}

function submit(
  publisher: Publisher,
  stream: string,
  entry: Value | OutgoingMessage,
  common: PublishOptions,
  withResults: boolean,
): Promise<Ack | null> {
  const ack = attempt(publisher, stream, entry, common, withResults);
  // The error is thrown in its turn. Until then, or when the reader has stopped, it must not count as unhandled.
  ack.catch(() => undefined);
  return ack;
}

function attempt(
  publisher: Publisher,
  stream: string,
  entry: Value | OutgoingMessage,
  common: PublishOptions,
  withResults: boolean,
): Promise<Ack | null> {
  try {
    const { value, options } = outgoing(entry, common);
    if (withResults) refuseNoAcks('publishAll', options);
    return publisher.publish(stream, value, options);
  } catch (error) {
    return Promise.reject(error);
  }
}
