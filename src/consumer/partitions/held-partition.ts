import { backoffDelay } from '../../async/backoff.js';
import { type Deferred, deferred } from '../../async/deferred.js';
import { pause } from '../../async/sleep.js';
import { LiftbridgeError } from '../../errors.js';
import type { Consumer as GroupMember } from '../../protocol/generated/api.js';
import type { Message, ReceivedMessage } from '../../protocol/received-message.js';
import { PartitionReader } from '../../subscribe/partition-reader.js';
import type { Start } from '../../subscribe/positions.js';
import type { ReaderEvents } from '../../subscribe/reader-contract.js';
import type { ConsumerContext } from '../context.js';
import { isFatal, isFenced, seemsGone } from '../membership/poll-failure.js';
import { READONLY_PAUSE_MS, REOPEN_BACKOFF } from '../timing.js';
import { MessageBuffer } from './message-buffer.js';
import { Trouble } from './trouble.js';

/** What a partition tells the consumer that holds it. */
export interface HeldEvents {
  /** It has a message to process. */
  ready(held: HeldPartition): void;
  /** The broker gave it to another member. */
  lost(held: HeldPartition): void;
  /** Its stream was deleted, or seems to have been. */
  gone(held: HeldPartition, error: unknown): void;
  /** It can never be read. */
  failed(held: HeldPartition, error: unknown): void;
  /** It cannot be read for a long time; that is tried further. */
  stuck(held: HeldPartition, error: unknown): void;
}

/**
 * A partition that was assigned to this member, from then until it is given up: it is read over as many readers as it
 * takes, and one message of it at a time is processed.
 */
export class HeldPartition {
  /** Generation of the mark that says that it is held. */
  generation = 0n;
  /** Whether the broker gave it to another member. */
  lost = false;
  /** Whether `onAssigned` was called for it. */
  announced = false;
  /** Its last owner was taken for dead: until then, as of `monotonicNow()`, a late write of that may set the cursor back. */
  verifyUntil = 0;
  /** Why it is not being read. */
  readonly trouble: Trouble;
  readonly #context: ConsumerContext;
  readonly #member: GroupMember;
  readonly #events: HeldEvents;
  readonly #buffer: MessageBuffer;
  readonly #stopped = new AbortController();
  readonly #late = new AbortController();
  #reader: PartitionReader | null = null;
  #opening = false;
  /** Counts the calls of `open`: what goes on from an earlier one is not wanted any more. */
  #openings = 0;
  #active = false;
  #position: bigint | null = null;
  #stored = -1n;
  #current: Message | null = null;
  /** Resolved when no message is being processed; null while that is not awaited. */
  #whenIdle: Deferred | null = null;

  constructor(
    context: ConsumerContext,
    readonly stream: string,
    readonly partition: number,
    member: GroupMember,
    /** Term of the membership in which it was assigned. */
    readonly term: number,
    bufferLimit: () => number,
    events: HeldEvents,
  ) {
    this.#context = context;
    this.#member = member;
    this.#events = events;
    this.trouble = new Trouble(context.resubscribeTimeout, (error) => events.stuck(this, error));
    this.#buffer = new MessageBuffer(
      { pause: () => this.#reader?.pause(), resume: () => this.#reader?.resume() },
      bufferLimit,
    );
  }

  /** Aborted when it is given up. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  /** Aborted when it is given up and a message that is still being processed will be processed again elsewhere. */
  get tooLate(): AbortSignal {
    return this.#late.signal;
  }

  /** Offset behind the last message that was processed; null before it was taken over. */
  get position(): bigint | null {
    return this.#position;
  }

  /** Offset to put into the group's cursor; null when it is there, or when nothing was processed. */
  get unstored(): bigint | null {
    if (this.#position === null || this.#position - 1n === this.#stored) return null;
    return this.#position - 1n;
  }

  /** Offset that the group's cursor holds as far as this member knows; -1n for none. */
  get stored(): bigint {
    return this.#stored;
  }

  /** The first offset that can be processed; null while only the broker can tell. */
  get begins(): bigint | null {
    return this.#buffer.firstOffset ?? this.#reader?.position ?? null;
  }

  /** Epoch of the group under which it is held. */
  get epoch(): bigint {
    return this.#member.groupEpoch;
  }

  /** The group continues under this epoch; brokers see it in the next Subscribe call. */
  set epoch(epoch: bigint) {
    this.#member.groupEpoch = epoch;
  }

  /** Subscribes, which ends any subscription under an earlier epoch. No message is processed yet. */
  async open(start: Start, resume: boolean): Promise<void> {
    this.#openings++;
    this.#reader?.cancel();
    this.#buffer.clear();
    await this.#open(start, resume);
    this.trouble.clear();
    if (this.#reader?.over === true) void this.#reopen(null);
  }

  /** Lets messages from the offset on be processed; the group's cursor holds the offset before it. */
  activate(position: bigint): void {
    this.#position = position;
    this.#stored = position - 1n;
    this.#buffer.skipTo(position);
    this.#active = true;
    if (!this.#buffer.isEmpty) this.#events.ready(this);
  }

  /** The next message, to be processed; null when there is none, or one is being processed. */
  begin(): Message | null {
    if (!this.#active || this.#current !== null) return null;
    this.#current = this.#buffer.shift();
    return this.#current;
  }

  /** Whether the broker was told to stop sending. */
  get isStalled(): boolean {
    return this.#buffer.isFull;
  }

  /** Whether `begin` would have a message. */
  get isReady(): boolean {
    return this.#active && this.#current === null && !this.#buffer.isEmpty;
  }

  /** Notes that the message was processed. */
  finish(message: Message): void {
    if (this.#current !== message) return;
    this.#position = message.offset + 1n;
    this.#idle();
  }

  /** Notes that the message was not processed and no longer is in progress. */
  abandon(message: Message): void {
    if (this.#current === message) this.#idle();
  }

  /** Notes what the group's cursor holds. */
  markStored(offset: bigint): void {
    this.#stored = offset;
  }

  /** Resolves when no message is being processed. */
  idle(): Promise<void> {
    if (this.#current === null) return Promise.resolve();
    this.#whenIdle ??= deferred();
    return this.#whenIdle.promise;
  }

  /** Ends reading; what has arrived but was not begun is dropped. */
  stop(): void {
    this.#active = false;
    this.#stopped.abort(new Error('the partition was given up'));
    this.#reader?.cancel();
    this.#buffer.clear();
  }

  /** Ends waiting for a message that is still being processed. */
  expire(): void {
    this.#late.abort(new Error('the partition was given up'));
  }

  /** Moves to the broker that leads the partition now, if that is another one. */
  metadataChanged(): void {
    this.#reader?.metadataChanged();
  }

  #idle(): void {
    this.#current = null;
    this.#whenIdle?.resolve();
    this.#whenIdle = null;
  }

  async #open(start: Start, resume: boolean): Promise<void> {
    const { cluster, requestTimeout } = this.#context;
    const plan = {
      start,
      stop: { at: 'never' },
      reverse: false,
      readIsrReplica: false,
      resume,
      consumer: this.#member,
    } as const;
    const isCurrent = (): boolean => reader === this.#reader && !this.signal.aborted;
    const events = this.#readerEvents(isCurrent);
    const reader = new PartitionReader(cluster, this.stream, this.partition, plan, this.#context, events);
    if (this.#buffer.isFull) reader.pause();
    this.#reader = reader;
    this.#opening = true;
    try {
      await reader.open({ signal: this.signal, timeout: requestTimeout });
    } finally {
      this.#opening = false;
    }
  }

  /** Events of an earlier reader, or after the release of the partition, have no effect. */
  #readerEvents(isCurrent: () => boolean): ReaderEvents {
    return {
      messages: (messages, bytes) => {
        if (isCurrent()) this.#receive(messages, bytes);
      },
      done: (why) => {
        if (!isCurrent()) return;
        if (why === 'revoked') this.#lost();
        // The end of a readonly partition: it may be made writable again.
        else if (!this.#opening) void this.#reopen(null);
      },
      failed: (error) => {
        if (!isCurrent() || this.#opening) return;
        // A broken connection is mended by the reader, for all of its time.
        if (LiftbridgeError.is(error, 'CONNECTION') && error.retryable) this.trouble.note(error, true);
        void this.#reopen(error);
      },
    };
  }

  #receive(messages: ReceivedMessage[], bytes: number): void {
    this.#buffer.push(messages, bytes);
    if (this.#active && this.#position !== null) this.#buffer.skipTo(this.#position);
    if (this.isReady) this.#events.ready(this);
  }

  /** Goes on where the last reader has stopped, with what has arrived kept. */
  async #reopen(failure: unknown): Promise<void> {
    const opening = this.#openings;
    let error = failure;
    for (let attempt = 1; ; attempt++) {
      if (error !== null) {
        if (!this.#mayReopen(error)) return;
        this.trouble.note(error);
      }
      const delay = error === null ? READONLY_PAUSE_MS : backoffDelay(attempt, REOPEN_BACKOFF);
      if (error !== null) this.#context.cluster.emit('retry', { operation: 'Subscribe', attempt, delay, error });
      await pause(delay, this.signal);
      if (this.signal.aborted || this.#openings !== opening) return;
      error = await this.#openAgain();
      if (error === null && this.#reader?.over === false) return;
    }
  }

  #lost(): void {
    this.lost = true;
    this.#events.lost(this);
  }

  async #openAgain(): Promise<unknown> {
    const position = this.#reader?.position ?? this.#position ?? 0n;
    try {
      await this.#open({ at: 'offset', offset: position }, false);
      this.trouble.clear();
      return null;
    } catch (error) {
      return error;
    }
  }

  #mayReopen(error: unknown): boolean {
    if (this.signal.aborted) return false;
    if (isFenced(error)) this.#lost();
    else if (isFatal(error)) this.#events.failed(this, error);
    else {
      if (seemsGone(error)) this.#events.gone(this, error);
      return true;
    }
    return false;
  }
}
