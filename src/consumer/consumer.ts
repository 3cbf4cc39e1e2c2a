import { type InspectOptions, inspect } from 'node:util';
import { pointErrorsAtCaller } from '../errors/call-site.js';
import { ClosedError, ConsumerExistsError, InvalidArgumentError, LiftbridgeError } from '../errors.js';
import { CALL_SHAPE, type CallOptions, callback, checkValue, milliseconds, readOptions } from '../options.js';
import { jsonable } from '../protocol/json.js';
import type { Message } from '../protocol/received-message.js';
import {
  type ConsumeOptions,
  type ConsumerCloseOptions,
  type ConsumerOptions,
  type ResolvedConsumerOptions,
  readConsume,
  resolveConsumerOptions,
} from './consumer-options.js';
import type { ConsumerContext } from './context.js';
import { MessageLoop } from './delivery/message-loop.js';
import { MessageRunner } from './delivery/message-runner.js';
import { lagOf, type PartitionLag } from './partitions/lag.js';
import { type MessageHandler, type RunOptions, resolveRunOptions } from './run-options.js';
import { Session } from './session.js';
import { LOOP_GRACE_MS } from './timing.js';

/**
 * A member of a consumer group, made by `client.createConsumer`: the partitions of its streams are shared out among the
 * members, and the group's position in each is kept in a cursor.
 *
 * Every message is processed at least once, and once where no member dies: a partition is checkpointed before it goes to
 * another member, which waits for that. A message counts as processed when the loop asks for the next one, or when the
 * handler of `run` has resolved. go-liftbridge: `Consumer`.
 *
 * @example
 * ```ts
 * await using consumer = client.createConsumer('billing', { autoOffset: 'earliest' });
 * for await (const message of await consumer.subscribe(['orders'])) await bill(message.json());
 * ```
 */
export class Consumer implements AsyncDisposable {
  static {
    pointErrorsAtCaller(Consumer.prototype, ['subscribe', 'run', 'checkpoint', 'lag', 'close']);
  }

  /** The group that it is a member of. */
  readonly groupId: string;
  /** Its id in the group. */
  readonly consumerId: string;
  readonly #context: ConsumerContext;
  readonly #options: ResolvedConsumerOptions;
  readonly #closing = new AbortController();
  #starting: Promise<Session> | null = null;
  #session: Session | null = null;
  #loop: MessageLoop | null = null;
  #running = false;
  #ran: Promise<void> = Promise.resolve();
  #patience = LOOP_GRACE_MS;
  #closed: Promise<void> | null = null;
  #forget: () => void = () => undefined;

  /** @internal */
  static create(context: ConsumerContext, groupId: string, options?: ConsumerOptions): Consumer {
    return new Consumer(context, groupId, options);
  }

  private constructor(context: ConsumerContext, groupId: string, options?: ConsumerOptions) {
    this.#options = resolveConsumerOptions(groupId, options);
    this.#context = context;
    this.groupId = groupId;
    this.consumerId = this.#options.consumerId;
  }

  /**
   * Joins the group and resolves with its messages, for one loop, once the first partitions are being read. The loop ends
   * after `close`, and throws the typed error that ends the consumer, or the reason of the signal; `break`
   * closes the consumer, and the current message does not count as processed then. Rejects with CONSUMER_EXISTS, NO_SUCH_STREAM,
   * CURSORS_DISABLED, CLOSED, and with CONNECTION or PERMISSION_DENIED when its partitions can never be read.
   * go-liftbridge: `Subscribe`.
   */
  async subscribe(streams: readonly string[], options: ConsumeOptions = {}): Promise<AsyncIterable<Message>> {
    const given = readConsume(streams, options);
    given.signal?.throwIfAborted();
    const session = await this.#start(given.streams, given);
    this.#endWith(given.signal);
    this.#loop = new MessageLoop(session.readyQueue, () => this.close());
    return this.#loop;
  }

  /**
   * Hands every message to `handler`, in the order of its partition; it is processed when the handler resolves. One that
   * fails is tried again, then published to `deadLetter` or else ends the consumer. Joins the group first where `streams`
   * is given. Resolves after `close`; rejects with HANDLER_FAILED, with what `subscribe` and its loop reject with, or the
   * reason of the signal.
   */
  async run(handler: MessageHandler, options: RunOptions = {}): Promise<void> {
    checkValue('consumer.run', 'handler', handler, callback);
    const resolved = resolveRunOptions(options);
    const { streams, signal, timeout } = resolved;
    signal?.throwIfAborted();
    if (streams === undefined) this.#endWith(signal);
    else if (!(await this.#subscribes(streams, { signal, timeout }))) return;
    const session = this.#session;
    if (session === null) throw this.#closed === null ? needStreams() : this.#closedError('run');
    if (this.#running) throw runsAlready();
    this.#running = true;
    this.#patience = this.#options.revokeTimeout;
    const run = this.#run(session, handler, resolved);
    this.#ran = run.catch(() => undefined);
    await run;
  }

  /** Stores the group's position in every partition now. Rejects with a LiftbridgeError when one cannot be stored. go-liftbridge: `Checkpoint`. */
  async checkpoint(): Promise<void> {
    await this.#subscribed('checkpoint').checkpoint();
  }

  /** Asks how far this consumer is behind in each of its partitions. Rejects with a LiftbridgeError. */
  async lag(options: CallOptions = {}): Promise<PartitionLag[]> {
    const given = readOptions<CallOptions>('consumer.lag', options, CALL_SHAPE);
    return await lagOf(this.#context.cluster, this.#subscribed('lag').held, given);
  }

  /** Stream to the partitions that this consumer holds now. */
  get assignments(): ReadonlyMap<string, number[]> {
    return jsonable(new Map(this.#closed === null ? this.#session?.map : null));
  }

  /**
   * Waits for the message in progress - of a loop up to a second, of `run` up to `revokeTimeout` - then stores positions
   * and leaves the group. Never takes longer than `timeout` and never rejects: failures are reported as 'asyncError'. A
   * later call waits for the first one. go-liftbridge: `Close`.
   */
  async close(options: ConsumerCloseOptions = {}): Promise<void> {
    const given = readOptions<ConsumerCloseOptions>('consumer.close', options, { timeout: milliseconds(0) });
    await this.#end(given.timeout);
    await this.#ran;
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** For logs: who it is, and what it holds. @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const { groupId, consumerId, assignments } = this;
    const joined = this.#session === null ? 'not subscribed' : 'subscribed';
    const state = this.#closed === null ? joined : 'closed';
    return `Consumer ${inspect({ state, groupId, consumerId, assignments }, options)}`;
  }

  /** False when the consumer was closed meanwhile. */
  async #subscribes(streams: readonly string[], options: ConsumeOptions): Promise<boolean> {
    const wasOpen = this.#closed === null;
    try {
      await this.subscribe(streams, options);
      return true;
    } catch (error) {
      if (wasOpen && this.#closed !== null && LiftbridgeError.is(error, 'CLOSED')) return false;
      throw error;
    }
  }

  async #start(streams: readonly string[], { signal, timeout }: ConsumeOptions): Promise<Session> {
    if (this.#closed !== null) throw this.#closedError('subscribe');
    if (this.#starting !== null) throw this.#subscribedAlready();
    const sources = signal === undefined ? [this.#closing.signal] : [this.#closing.signal, signal];
    const plan = {
      context: this.#context,
      groupId: this.groupId,
      options: this.#options,
      streams: [...new Set(streams)],
      failed: () => void this.#end(),
    };
    this.#context.started(this);
    this.#starting = Session.start(plan, AbortSignal.any(sources), timeout ?? this.#context.requestTimeout);
    try {
      this.#session = await this.#starting;
      return this.#session;
    } catch (error) {
      // Nothing was begun: it may be tried again.
      this.#starting = null;
      this.#context.ended(this);
      throw error;
    }
  }

  async #run(session: Session, handler: MessageHandler, options: ReturnType<typeof resolveRunOptions>): Promise<void> {
    const { cluster, publisher } = this.#context;
    const { groupId } = this;
    const { readyQueue, stopped } = session;
    const fail = (error: unknown): void => session.fail(error);
    await new MessageRunner({ groupId, cluster, publisher, readyQueue, stopped, fail }, handler, options).run();
    await this.#end();
    if (readyQueue.over !== null && readyQueue.over !== 'clean') throw readyQueue.over.error;
  }

  #endWith(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const abort = (): void => {
      this.#session?.readyQueue.end({ error: signal.reason });
      void this.close();
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    const before = this.#forget;
    this.#forget = () => {
      before();
      signal.removeEventListener('abort', abort);
    };
  }

  #end(timeout?: number): Promise<void> {
    this.#closed ??= this.#close(timeout);
    return this.#closed;
  }

  async #close(timeout: number | undefined): Promise<void> {
    this.#closing.abort(this.#closedError('subscribe'));
    this.#forget();
    const session = this.#session ?? (await this.#starting?.catch(() => null)) ?? null;
    await session?.stop(this.#patience, timeout);
    this.#context.ended(this);
  }

  #subscribed(operation: string): Session {
    if (this.#closed !== null) throw this.#closedError(operation);
    if (this.#session !== null) return this.#session;
    throw new InvalidArgumentError(
      `consumer.${operation}: the consumer is not subscribed to any stream. Subscribe first.`,
      {
        operation: `consumer.${operation}`,
      },
    );
  }

  #closedError(operation: string): ClosedError {
    return new ClosedError(`consumer.${operation} failed: the consumer is closed. Create another one.`, {
      operation: `consumer.${operation}`,
    });
  }

  #subscribedAlready(): ConsumerExistsError {
    const text = `consumer.subscribe failed: consumer "${this.consumerId}" of group "${this.groupId}" is subscribed already. Create another one.`;
    return new ConsumerExistsError(text, { operation: 'consumer.subscribe' });
  }
}

function needStreams(): InvalidArgumentError {
  return new InvalidArgumentError(
    'consumer.run: expected streams to be given, or subscribe to have been called before.',
    {
      operation: 'consumer.run',
    },
  );
}

function runsAlready(): InvalidArgumentError {
  return new InvalidArgumentError('consumer.run: a handler is running already. Create another consumer for another.', {
    operation: 'consumer.run',
  });
}
