import { backoffDelay } from '../../async/backoff.js';
import { type Deferred, deferred } from '../../async/deferred.js';
import { pause } from '../../async/sleep.js';
import type { Cluster } from '../../cluster/cluster-api.js';
import { HandlerError } from '../../errors.js';
import type { Message } from '../../protocol/received-message.js';
import type { Publisher } from '../../publish/publisher.js';
import type { HeldPartition } from '../partitions/held-partition.js';
import type { MessageHandler, ResolvedRunOptions } from '../run-options.js';
import { publishDeadLetter } from './dead-letter.js';
import type { ReadyQueue } from './ready-queue.js';

/** Dependencies of a runner. */
export interface RunnerContext {
  readonly groupId: string;
  readonly cluster: Cluster;
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly readyQueue: ReadyQueue;
  /** Resolves when the consumer has left its group. */
  readonly stopped: Promise<void>;
  /** Ends the consumer. */
  readonly fail: (error: unknown) => void;
}

/** Hands messages to a handler: those of a partition one after the other, several partitions at a time. */
export class MessageRunner {
  readonly #context: RunnerContext;
  readonly #handler: MessageHandler;
  readonly #options: ResolvedRunOptions;
  /** Handlers that run. */
  #busy = 0;
  #wake: () => void = () => undefined;
  /** Resolved when no handler runs any more; null while that is not awaited. */
  #whenIdle: Deferred | null = null;

  constructor(context: RunnerContext, handler: MessageHandler, options: ResolvedRunOptions) {
    this.#context = context;
    this.#handler = handler;
    this.#options = options;
  }

  /**
   * Resolves when the consumer has ended and no handler runs any more, or when it has left the group without them. Never
   * rejects: `readyQueue.over` tells how.
   */
  async run(): Promise<void> {
    const { readyQueue, stopped } = this.#context;
    void readyQueue.ended.then(() => this.#wake());
    while (readyQueue.over === null) {
      const isFree = this.#busy < this.#options.concurrency;
      const held = isFree ? readyQueue.take() : null;
      if (held === null) {
        await this.#change(isFree);
        continue;
      }
      this.#busy++;
      void this.#work(held).finally(() => this.#isDone());
    }
    if (this.#busy === 0) return;
    this.#whenIdle = deferred();
    await Promise.race([this.#whenIdle.promise, stopped]);
  }

  /** Resolves when a handler is done, the consumer has ended, or, where one more handler may run, there may be a message. */
  #change(isFree: boolean): Promise<void> {
    // A promise of its own: one for each message, with the fewest objects.
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (isFree) void this.#context.readyQueue.wait().then(resolve);
    });
  }

  #isDone(): void {
    this.#busy--;
    this.#wake();
    if (this.#busy === 0) this.#whenIdle?.resolve();
  }

  /** One message of the partition; then it is the turn of the others. */
  async #work(held: HeldPartition): Promise<void> {
    const message = held.begin();
    if (message === null) return;
    try {
      if (await this.#process(held, message)) held.finish(message);
      else held.abandon(message);
    } catch (error) {
      held.abandon(message);
      this.#context.fail(error);
    }
    this.#context.readyQueue.offer(held);
  }

  /** Whether the message was processed; false when the partition was released meanwhile. */
  async #process(held: HeldPartition, message: Message): Promise<boolean> {
    const { retries, minDelay, maxDelay, deadLetter } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#handler(message, { attempt, signal: held.tooLate });
        return true;
      } catch (error) {
        if (attempt > retries) {
          if (deadLetter === undefined) throw failed(message, attempt, error);
          return await this.#bury(held, message, deadLetter, attempt, error);
        }
        const delay = backoffDelay(attempt, { first: minDelay, longest: Math.max(minDelay, maxDelay) });
        this.#context.cluster.emit('retry', { operation: 'handler', attempt, delay, error });
        await pause(delay, held.signal);
        if (held.signal.aborted) return false;
      }
    }
  }

  async #bury(
    held: HeldPartition,
    message: Message,
    stream: string,
    attempts: number,
    error: unknown,
  ): Promise<boolean> {
    const { groupId, publisher } = this.#context;
    try {
      await publishDeadLetter(publisher, stream, message, { groupId, error, attempts }, held.signal);
      return true;
    } catch (cause) {
      if (held.signal.aborted) return false;
      const text = `${failed(message, attempts, error).message} Publishing it to the dead-letter stream "${stream}" failed, too.`;
      throw new HandlerError(text, { ...contextOf(message), cause: new AggregateError([error, cause], text) });
    }
  }
}

function contextOf({ stream, partition }: Message): { stream: string; partition: number; operation: string } {
  return { stream, partition, operation: 'consumer.run' };
}

function failed(message: Message, attempts: number, cause: unknown): HandlerError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const where = `stream "${message.stream}", partition ${message.partition}, offset ${message.offset}`;
  const text = `The handler failed ${attempts} times at the message of ${where}: ${why}.`;
  return new HandlerError(text, { ...contextOf(message), cause });
}
