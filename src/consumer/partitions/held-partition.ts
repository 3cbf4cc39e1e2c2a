import { type Deferred, deferred } from '../../async/deferred.js';
import type { Consumer as GroupMember } from '../../protocol/generated/api.js';
import type { Message, ReceivedMessage } from '../../protocol/received-message.js';
import type { Start } from '../../subscribe/positions.js';
import type { ConsumerContext } from '../context.js';
import { LastingReader } from './lasting-reader.js';
import { MessageBuffer } from './message-buffer.js';
import { Trouble } from './trouble.js';

/** Receives the events of a held partition. */
export interface HeldEvents {
  /** It has a message to process. */
  ready(held: HeldPartition): void;
  /** The broker gave it to another member. */
  lost(held: HeldPartition): void;
  /** Its stream was deleted, or seems to have been. */
  gone(held: HeldPartition, error: unknown): void;
  /** It can never be read. */
  failed(held: HeldPartition, error: unknown): void;
  /** It could not be read for a long time; reading it is tried further. */
  stuck(held: HeldPartition, error: unknown): void;
}

/**
 * A partition that was assigned to this member, until it is released. It is read over successive readers, and
 * one of its messages at a time is processed.
 */
export class HeldPartition {
  /** Generation of the mark that says that it is held. */
  generation = 0n;
  /** Whether the broker gave it to another member. */
  lost = false;
  /** Whether `onAssigned` was called for it. */
  announced = false;
  /** Time, as of `monotonicNow()`, until which a late write of an owner that counted as dead may set the cursor back. */
  verifyUntil = 0;
  /** Why it is not being read. */
  readonly trouble: Trouble;
  readonly #member: GroupMember;
  readonly #events: HeldEvents;
  readonly #buffer: MessageBuffer;
  readonly #stopped = new AbortController();
  readonly #late = new AbortController();
  readonly #reader: LastingReader;
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
    this.#member = member;
    this.#events = events;
    this.trouble = new Trouble(context.resubscribeTimeout, (error) => events.stuck(this, error));
    this.#buffer = new MessageBuffer(
      { pause: () => this.#reader.pause(), resume: () => this.#reader.resume() },
      bufferLimit,
    );
    this.#reader = new LastingReader(context, stream, partition, member, {
      trouble: this.trouble,
      signal: this.signal,
      isPaused: () => this.#buffer.isFull,
      position: () => this.#position,
      messages: (messages, bytes) => this.#receive(messages, bytes),
      lost: () => this.#lost(),
      gone: (error) => events.gone(this, error),
      failed: (error) => events.failed(this, error),
    });
  }

  /** Aborted when it is released. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  /** Aborted when it is released before its message was processed: another member will process that message again. */
  get tooLate(): AbortSignal {
    return this.#late.signal;
  }

  /** Offset behind the last message that was processed; null before it was acquired. */
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
    return this.#buffer.firstOffset ?? this.#reader.position;
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
    this.#reader.cancel();
    this.#buffer.clear();
    await this.#reader.open(start, resume);
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
    this.#stopped.abort(new Error('the partition was released'));
    this.#reader.cancel();
    this.#buffer.clear();
  }

  /** Ends waiting for a message that is still being processed. */
  expire(): void {
    this.#late.abort(new Error('the partition was released'));
  }

  /** Moves to the broker that leads the partition now, if that is another one. */
  metadataChanged(): void {
    this.#reader.metadataChanged();
  }

  #idle(): void {
    this.#current = null;
    this.#whenIdle?.resolve();
    this.#whenIdle = null;
  }

  #receive(messages: ReceivedMessage[], bytes: number): void {
    this.#buffer.push(messages, bytes);
    if (this.#active && this.#position !== null) this.#buffer.skipTo(this.#position);
    if (this.isReady) this.#events.ready(this);
  }

  #lost(): void {
    this.lost = true;
    this.#events.lost(this);
  }
}
