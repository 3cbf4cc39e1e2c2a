import { backoffDelay } from '../../async/backoff.js';
import { pause } from '../../async/sleep.js';
import { LiftbridgeError } from '../../errors.js';
import type { Consumer as GroupMember } from '../../protocol/generated/api.js';
import type { ReceivedMessage } from '../../protocol/received-message.js';
import { PartitionReader } from '../../subscribe/partition-reader.js';
import type { Start } from '../../subscribe/positions.js';
import type { ReaderEvents } from '../../subscribe/reader-contract.js';
import type { ConsumerContext } from '../context.js';
import { isFatal, isFenced, seemsGone } from '../membership/poll-failure.js';
import { READONLY_PAUSE_MS, REOPEN_BACKOFF } from '../timing.js';
import type { Trouble } from './trouble.js';

/** The owner of a lasting reader: what it gives to the reader, and is told by it. */
export interface LastingReaderOwner {
  readonly trouble: Trouble;
  /** Aborted when the partition is released. */
  readonly signal: AbortSignal;
  /** Whether a new reader begins paused. */
  isPaused(): boolean;
  /** Offset to read from where no reader was opened yet. */
  position(): bigint | null;
  messages(messages: ReceivedMessage[], bytes: number): void;
  /** The broker gave the partition to another member. */
  lost(): void;
  /** The stream was deleted, or seems to have been. */
  gone(error: unknown): void;
  /** The partition can never be read. */
  failed(error: unknown): void;
}

/** Reads a partition over successive readers until it is released: it outlives failures that end one reader. */
export class LastingReader {
  readonly #context: ConsumerContext;
  readonly #stream: string;
  readonly #partition: number;
  readonly #member: GroupMember;
  readonly #owner: LastingReaderOwner;
  #reader: PartitionReader | null = null;
  #opening = false;
  /** Counts the calls of `open`: the work of an earlier one is obsolete. */
  #openings = 0;

  constructor(
    context: ConsumerContext,
    stream: string,
    partition: number,
    member: GroupMember,
    owner: LastingReaderOwner,
  ) {
    this.#context = context;
    this.#stream = stream;
    this.#partition = partition;
    this.#member = member;
    this.#owner = owner;
  }

  /** The next offset that it expects to receive; null while only the broker can tell. */
  get position(): bigint | null {
    return this.#reader?.position ?? null;
  }

  /** Opens a reader, which replaces the one before. Rejects with its failure; later failures are overcome here. */
  async open(start: Start, resume: boolean): Promise<void> {
    this.#openings++;
    this.#reader?.cancel();
    await this.#open(start, resume);
    this.#owner.trouble.clear();
    if (this.#reader?.over === true) void this.#reopen(null);
  }

  pause(): void {
    this.#reader?.pause();
  }

  resume(): void {
    this.#reader?.resume();
  }

  cancel(): void {
    this.#reader?.cancel();
  }

  metadataChanged(): void {
    this.#reader?.metadataChanged();
  }

  async #open(start: Start, resume: boolean): Promise<void> {
    const { cluster, requestTimeout } = this.#context;
    const { signal } = this.#owner;
    const plan = {
      start,
      stop: { at: 'never' },
      reverse: false,
      readIsrReplica: false,
      resume,
      consumer: this.#member,
    } as const;
    const isCurrent = (): boolean => reader === this.#reader && !signal.aborted;
    const events = this.#readerEvents(isCurrent);
    const reader = new PartitionReader(cluster, this.#stream, this.#partition, plan, this.#context, events);
    if (this.#owner.isPaused()) reader.pause();
    this.#reader = reader;
    this.#opening = true;
    try {
      await reader.open({ signal, timeout: requestTimeout });
    } finally {
      this.#opening = false;
    }
  }

  /** Events of an earlier reader, or after the release of the partition, have no effect. */
  #readerEvents(isCurrent: () => boolean): ReaderEvents {
    return {
      messages: (messages, bytes) => {
        if (isCurrent()) this.#owner.messages(messages, bytes);
      },
      done: (why) => {
        if (!isCurrent()) return;
        if (why === 'revoked') this.#owner.lost();
        // The end of a readonly partition: it may be made writable again.
        else if (!this.#opening) void this.#reopen(null);
      },
      failed: (error) => {
        if (!isCurrent() || this.#opening) return;
        // The reader itself has tried to repair a broken connection, for as long as it may.
        if (LiftbridgeError.is(error, 'CONNECTION') && error.retryable) this.#owner.trouble.note(error, true);
        void this.#reopen(error);
      },
    };
  }

  /** Continues where the last reader has stopped; what has arrived stays. */
  async #reopen(failure: unknown): Promise<void> {
    const { signal, trouble } = this.#owner;
    const opening = this.#openings;
    let error = failure;
    for (let attempt = 1; ; attempt++) {
      if (error !== null) {
        if (!this.#mayReopen(error)) return;
        trouble.note(error);
      }
      const delay = error === null ? READONLY_PAUSE_MS : backoffDelay(attempt, REOPEN_BACKOFF);
      if (error !== null) this.#context.cluster.emit('retry', { operation: 'Subscribe', attempt, delay, error });
      await pause(delay, signal);
      if (signal.aborted || this.#openings !== opening) return;
      error = await this.#openAgain();
      if (error === null && this.#reader?.over === false) return;
    }
  }

  async #openAgain(): Promise<unknown> {
    const offset = this.#reader?.position ?? this.#owner.position() ?? 0n;
    try {
      await this.#open({ at: 'offset', offset }, false);
      this.#owner.trouble.clear();
      return null;
    } catch (error) {
      return error;
    }
  }

  #mayReopen(error: unknown): boolean {
    if (this.#owner.signal.aborted) return false;
    if (isFenced(error)) this.#owner.lost();
    else if (isFatal(error)) this.#owner.failed(error);
    else {
      if (seemsGone(error)) this.#owner.gone(error);
      return true;
    }
    return false;
  }
}
