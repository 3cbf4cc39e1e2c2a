import { atCallSite, callSite } from '../../errors/call-site.js';
import { InvalidArgumentError } from '../../errors.js';
import type { Message } from '../../protocol/received-message.js';
import type { HeldPartition } from '../partitions/held-partition.js';
import type { ReadyQueue } from './ready-queue.js';

/** Messages of one partition in a row before another one has its turn. */
const RUN = 64;

const DONE = { done: true, value: undefined } as const;

/** The messages of a consumer, for one loop: each counts as processed when the loop asks for the next one. */
export class MessageLoop implements AsyncIterable<Message> {
  readonly #readyQueue: ReadyQueue;
  readonly #leave: () => Promise<void>;
  #looping = false;
  #held: HeldPartition | null = null;
  #message: Message | null = null;
  #run = 0;
  #over = false;

  /** `leave`: what becomes of the consumer when the loop is left. */
  constructor(readyQueue: ReadyQueue, leave: () => Promise<void>) {
    this.#readyQueue = readyQueue;
    this.#leave = leave;
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    if (this.#looping)
      throw new InvalidArgumentError(
        'The messages of the consumer are being read already: they are for one loop. Create another consumer for another.',
        { operation: 'consumer.subscribe' },
      );
    this.#looping = true;
    return {
      next: () => this.#next(),
      return: () => this.#return(),
      throw: (error) => this.#return().then(() => Promise.reject(error)),
    };
  }

  async #next(): Promise<IteratorResult<Message, undefined>> {
    this.#finish();
    for (;;) {
      const message = this.#begin();
      if (message !== null) return { done: false, value: message };
      if (this.#readyQueue.over !== null) return this.#end(this.#readyQueue.over);
      await this.#readyQueue.wait();
    }
  }

  /** The message that the loop was left at was not processed. */
  async #return(): Promise<{ done: true; value: undefined }> {
    if (this.#message !== null) this.#held?.abandon(this.#message);
    this.#message = null;
    this.#over = true;
    await this.#leave();
    return DONE;
  }

  #finish(): void {
    if (this.#message === null) return;
    this.#held!.finish(this.#message);
    this.#message = null;
  }

  #begin(): Message | null {
    if (this.#held !== null && (this.#run >= RUN || !this.#held.isReady || !this.#readyQueue.isOpen)) {
      this.#readyQueue.offer(this.#held);
      this.#held = null;
    }
    if (this.#held === null) {
      this.#held = this.#readyQueue.take();
      this.#run = 0;
    }
    this.#message = this.#held?.begin() ?? null;
    this.#run++;
    return this.#message;
  }

  #end(over: { readonly error: unknown } | 'clean'): { done: true; value: undefined } {
    if (this.#over || over === 'clean') return DONE;
    this.#over = true;
    throw atCallSite(over.error, callSite());
  }
}
