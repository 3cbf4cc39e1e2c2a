import { setMaxListeners } from 'node:events';
import { type InspectOptions, inspect } from 'node:util';
import { monotonicNow } from '../async/clock.js';
import { onAbort } from '../async/shared-abort-listener.js';
import { clearInterval, setInterval } from '../async/timers.js';
import type { BoundedWaiting, Cluster, Waiting } from '../cluster/cluster-api.js';
import { InvalidArgumentError } from '../errors.js';
import { jsonable } from '../protocol/json.js';
import type { Message, ReceivedMessage } from '../protocol/received-message.js';
import { iteratorOf } from './iterator-of.js';
import { MessageQueue } from './message-queue.js';
import { PartitionReader } from './partition-reader.js';
import { planRead, type ReadPlan, readSubscribe, type SubscribeOptions } from './positions.js';
import type { ReaderEvents, ReaderOptions } from './reader-contract.js';
import { lookUpStream } from './stream-lookup.js';
import { LEADER_CHECK_MS } from './timing.js';

/** Dependencies of a subscription. */
export interface SubscriptionContext extends ReaderOptions {
  readonly cluster: Cluster;
  /** Told when the subscription has ended, so that the client can forget it. */
  readonly ended: (subscription: Subscription) => void;
}

/** Opens a subscription; resolves when a broker has confirmed each partition. */
export async function openSubscription(
  context: SubscriptionContext,
  stream: string,
  given: SubscribeOptions = {},
): Promise<Subscription> {
  const options = readSubscribe(stream, given);
  const plan = planRead(options);
  options.signal?.throwIfAborted();
  const waiting = { signal: options.signal, timeout: options.timeout ?? context.requestTimeout };
  const which = options.partition ?? 0;
  const partitions = which === 'all' ? await allPartitions(context.cluster, stream, waiting) : [which];
  const subscription = Subscription.create(context, stream, which, partitions, plan, options.signal);
  await subscription.open(waiting);
  return subscription;
}

async function allPartitions(cluster: Cluster, stream: string, waiting: BoundedWaiting): Promise<number[]> {
  await lookUpStream(cluster, stream, waiting);
  return Array.from({ length: cluster.partitionCount(stream) }, (_, partition) => partition);
}

/**
 * The messages of one partition, or of all partitions of a stream, as an async iterable: for one loop.
 *
 * Memory stays bounded however slow the loop is: brokers have to stop sending. After a failure it continues at another
 * leader with the next offset, without gap and without duplicate. The loop ends cleanly at `stopAt`, at the end of a
 * readonly partition and after `close`; it throws STREAM_DELETED, PARTITION_PAUSED, CONNECTION when the brokers stay
 * away for longer than `resubscribeTimeout`, and the reason of an aborted signal. `break` and `throw` in the loop close
 * the subscription. go-liftbridge: what `Subscribe` hands to its handler.
 */
export class Subscription implements AsyncIterable<Message>, AsyncDisposable {
  /** Name of the stream. */
  readonly stream: string;
  /** As it was asked for. */
  readonly partition: number | 'all';
  readonly #context: SubscriptionContext;
  readonly #queue: MessageQueue;
  readonly #readers: PartitionReader[];
  readonly #positions = new Map<number, bigint>();
  readonly #reverse: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #cleanup: (() => void)[] = [];
  #reading: number;
  #lastMessage: Message | null = null;
  #lastArrival = monotonicNow();
  #looping = false;

  /** @internal */
  static create(
    context: SubscriptionContext,
    stream: string,
    partition: number | 'all',
    partitions: readonly number[],
    plan: ReadPlan,
    signal: AbortSignal | undefined,
  ): Subscription {
    return new Subscription(context, stream, partition, partitions, plan, signal);
  }

  private constructor(
    context: SubscriptionContext,
    stream: string,
    partition: number | 'all',
    partitions: readonly number[],
    plan: ReadPlan,
    signal: AbortSignal | undefined,
  ) {
    this.stream = stream;
    this.partition = partition;
    this.#context = context;
    this.#reverse = plan.reverse;
    this.#signal = signal;
    this.#queue = new MessageQueue({ pause: () => this.#each('pause'), resume: () => this.#each('resume') });
    const events = this.#readerEvents();
    this.#readers = partitions.map((id) => new PartitionReader(context.cluster, stream, id, plan, context, events));
    this.#reading = this.#readers.length;
  }

  /**
   * The offset that comes next: behind the last message that the loop was given. Before the first one it is where the
   * subscription begins, -1n while only the broker knows. With 'all' it is -1n; see `positions`.
   */
  get position(): bigint {
    const only = this.partition === 'all' ? undefined : this.#readers[0];
    if (only === undefined) return -1n;
    return this.#lastMessage === null ? (only.position ?? -1n) : this.#after(this.#lastMessage);
  }

  /** The same for each partition that is read. */
  get positions(): ReadonlyMap<number, bigint> {
    const positions = jsonable(new Map(this.#readers.map((reader) => [reader.partition, reader.position ?? -1n])));
    if (this.partition === 'all') for (const [id, position] of this.#positions) positions.set(id, position);
    else positions.set(this.partition, this.position);
    return positions;
  }

  /** Opens every partition, or none. @internal */
  async open(waiting: Waiting): Promise<void> {
    this.#watch();
    const failed = new AbortController();
    const signal = waiting.signal ? AbortSignal.any([waiting.signal, failed.signal]) : failed.signal;
    setMaxListeners(0, signal); // a few a partition
    try {
      await Promise.all(this.#readers.map((reader) => reader.open({ ...waiting, signal })));
      waiting.signal?.throwIfAborted();
    } catch (error) {
      failed.abort(error);
      this.#end(null);
      throw error;
    }
  }

  /** The messages, one at a time. */
  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    let batch: ReceivedMessage[] = [];
    let at = 0;
    const first = (messages: ReceivedMessage[]): Message => {
      batch = messages;
      at = 1;
      return this.#given(messages[0]!);
    };
    const ready = (): Message | null => {
      if (at < batch.length && !this.#queue.dropped) return this.#given(batch[at++]!);
      const messages = this.#queue.take();
      return messages === null ? null : first(messages);
    };
    return this.#iterator(ready, first);
  }

  /** The same messages, as many at a time as have arrived: for loops that store or forward them together. */
  batches(): AsyncIterable<Message[]> {
    return { [Symbol.asyncIterator]: () => this.#batchIterator() };
  }

  /** Ends the loop and cancels the call at the brokers; what has arrived but was not read is dropped. Idempotent. */
  async close(): Promise<void> {
    this.#end(null);
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** For logs: what it reads, and how far it is. @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const { stream, partition } = this;
    const where = partition === 'all' ? { positions: this.positions } : { position: this.position };
    return `Subscription ${inspect({ state: this.#queue.state, stream, partition, ...where }, options)}`;
  }

  #batchIterator(): AsyncIterator<Message[], undefined> {
    const whole = (messages: ReceivedMessage[]): Message[] => {
      for (let more = this.#queue.take(); more !== null; more = this.#queue.take())
        for (const message of more) messages.push(message);
      for (const message of messages) this.#given(message);
      return messages;
    };
    const ready = (): Message[] | null => {
      const messages = this.#queue.take();
      return messages === null ? null : whole(messages);
    };
    return this.#iterator(ready, whole);
  }

  #iterator<T>(ready: () => T | null, arrived: (messages: ReceivedMessage[]) => T): AsyncIterator<T, undefined> {
    this.#startLoop();
    return iteratorOf({
      ready,
      arrives: () => this.#queue.next(),
      arrived,
      ended: () => this.#forgetSignal(),
      close: () => this.close(),
    });
  }

  #startLoop(): void {
    if (this.#looping)
      throw new InvalidArgumentError(
        `The subscription to stream "${this.stream}" is being read already: it is for one loop. Subscribe again for another.`,
        {
          stream: this.stream,
          operation: 'subscribe',
        },
      );
    this.#looping = true;
  }

  #given(message: Message): Message {
    this.#lastMessage = message;
    if (this.partition === 'all') this.#positions.set(message.partition, this.#after(message));
    return message;
  }

  #after(message: Message): bigint {
    return this.#reverse ? message.offset - 1n : message.offset + 1n;
  }

  #each(action: 'pause' | 'resume'): void {
    for (const reader of this.#readers) reader[action]();
  }

  #readerEvents(): ReaderEvents {
    return {
      messages: (messages, bytes) => {
        this.#lastArrival = monotonicNow();
        this.#queue.push(messages, bytes);
      },
      done: () => this.#noteReaderDone(),
      failed: (error) => {
        this.#queue.fail(error);
        this.#release();
      },
    };
  }

  #noteReaderDone(): void {
    if (--this.#reading > 0) return;
    this.#queue.end();
    this.#release();
  }

  #watch(): void {
    const { cluster } = this.#context;
    const stop = cluster.on('leaderChange', ({ stream, partition }) => {
      if (stream === this.stream) this.#readers.find((reader) => reader.partition === partition)?.metadataChanged();
    });
    const idle = setInterval(() => void this.#checkLeader(), LEADER_CHECK_MS).unref();
    this.#cleanup.push(stop, () => clearInterval(idle));
    const signal = this.#signal;
    // An abort also drops what has arrived and was not read yet, so the signal counts until the loop has ended.
    if (signal !== undefined) this.#forgetSignal = onAbort(signal, () => this.#end({ error: signal.reason }));
  }

  #forgetSignal: () => void = () => undefined;

  /** A leader that was replaced but still runs keeps a subscription open, and delivers nothing new. */
  async #checkLeader(): Promise<void> {
    if (monotonicNow() - this.#lastArrival < LEADER_CHECK_MS) return;
    const { cluster } = this.#context;
    try {
      await cluster.refresh([this.stream], { timeout: LEADER_CHECK_MS });
    } catch (error) {
      cluster.logger.debug({ err: error, stream: this.stream }, 'metadata refresh for an idle subscription failed');
      return;
    }
    for (const reader of this.#readers) reader.metadataChanged();
  }

  #end(failure: { readonly error: unknown } | null): void {
    this.#queue.clear(failure);
    this.#forgetSignal();
    this.#release();
  }

  #release(): void {
    for (const reader of this.#readers) reader.cancel();
    for (const undo of this.#cleanup.splice(0)) undo();
    this.#context.ended(this);
  }
}
