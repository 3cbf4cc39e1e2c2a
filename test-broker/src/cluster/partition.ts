import {
  decodeMessageHeaders,
  emptyMessage,
  type MessageTarget,
  readMessageEnvelope,
} from 'liftbridge-client/protocol';
import type { Clock } from '../clock.js';
import { EncryptionError, IncorrectOffsetError, LogError } from '../log/log-error.js';
import type { LogEntry } from '../log/log-types.js';
import type { PartitionLog } from '../log/partition-log.js';
import { type Bus, BusError, type BusMessage, type BusSubscription } from '../nats/bus.js';
import type { Settings } from '../settings.js';
import { ACK_ERROR, type AckRequest, encodeAck } from './ack-envelope.js';
import { AutoPauseTimer } from './auto-pause.js';
import { CommitQueue } from './commit-queue.js';
import type { EventTimes, PartitionReplica, PartitionState, StreamState } from './contract.js';
import { divergence } from './divergence.js';
import { autoPause, minIsr } from './partition-config.js';

const LEADER = 0;
const ALL = 1;
const NO_HEADERS: readonly (readonly [string, Uint8Array])[] = [];

/** The services of the broker that a replica uses. */
export interface ReplicaHost {
  readonly id: string;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly settings: Settings;
  /** Publishes an ack, unless a fault delays or drops it. */
  sendAck(inbox: string, envelope: Buffer): void;
  /** Reports that the leader has new messages for its followers. */
  appended(replica: Replica): void;
  /** Reports that the high watermark of a leader has moved. */
  committed(replica: Replica): void;
  /** Proposes to pause an idle partition. */
  pauseIdle(replica: Replica): void;
  warn(message: string): void;
}

/**
 * The replica of a partition on one broker. The leader receives the messages on the partition's subject, stores them,
 * decides which are committed, and sends acks. A {@link ReplicationLink} fills a follower.
 */
export class Replica implements PartitionReplica {
  readonly stream: string;
  readonly id: number;
  readonly log: PartitionLog;
  closedBy: 'pause' | 'delete' | 'shutdown' | null = null;
  /** The partition in the metadata of this broker. */
  readonly state: PartitionState;
  readonly #host: ReplicaHost;
  readonly #streamSubject: string;
  readonly #queue: string;
  /** The server commits messages at once in a stream with a replication factor of exactly 1. */
  readonly #single: boolean;
  readonly #minIsr: number;
  readonly #maxBytes: number;
  readonly #autoPause: AutoPauseTimer;
  readonly #commits = new CommitQueue();
  /** Newest offset of the other replicas, by broker, as they reported it to this leader. */
  readonly #replicated = new Map<string, number>();
  #subscription: BusSubscription | null = null;
  #leading = false;
  #subscribers = 0;
  /** Epoch of the leader whose log this replica agrees with. */
  #alignedWith = -1n;
  #firstReceived = 0n;
  #lastReceived = 0n;

  constructor(host: ReplicaHost, stream: StreamState, state: PartitionState, log: PartitionLog) {
    this.#host = host;
    this.stream = stream.name;
    this.id = state.id;
    this.state = state;
    this.log = log;
    this.#streamSubject = stream.subject;
    this.#queue = stream.group;
    this.#single = stream.replicationFactor === 1;
    this.#minIsr = minIsr(stream.config, host.settings);
    this.#maxBytes = host.settings['clustering.replication.max.bytes'];
    const rule = autoPause(stream.name, stream.config, host.settings);
    this.#autoPause = new AutoPauseTimer(host.clock, rule, this.#idleness(), () => host.pauseIdle(this));
  }

  get leading(): boolean {
    return this.#leading;
  }

  get receivedTimes(): EventTimes {
    return { first: this.#firstReceived, latest: this.#lastReceived };
  }

  /** Number of open subscriptions. */
  get subscribers(): number {
    return this.#subscribers;
  }

  addSubscriber(): () => void {
    let counted = true;
    this.#subscribers++;
    return () => {
      if (counted) this.#subscribers--;
      counted = false;
    };
  }

  /** Starts to lead in the epoch of the metadata. Does nothing when it already leads in that epoch. */
  lead(): void {
    if (this.#leading) return;
    this.#leading = true;
    this.#alignedWith = this.state.leaderEpoch;
    this.log.beginEpoch(this.state.leaderEpoch);
    this.#replicated.clear();
    this.#subscribe();
    this.#autoPause.start();
    // The next fetch of a follower, or the next message, shows what is committed.
    this.#host.appended(this);
  }

  /** Stops leading. Messages that wait for their commit never get an ack. Subscriptions stay open. */
  follow(): void {
    if (!this.#leading) return;
    this.#leading = false;
    this.#subscription?.unsubscribe();
    this.#subscription = null;
    this.#autoPause.stop();
    this.#commits.clear();
  }

  /** Closes the log; its readers see the reason. */
  close(reason: 'pause' | 'shutdown'): void {
    this.follow();
    this.closedBy = reason;
    this.log.close();
  }

  /** Closes the log without a checkpoint, as the end of the process does. */
  kill(): void {
    this.follow();
    this.closedBy = 'shutdown';
    this.log.kill();
  }

  /** Opens the log again after `close`. */
  reopen(): void {
    this.closedBy = null;
    this.log.reopen();
  }

  delete(): void {
    this.follow();
    this.closedBy = 'delete';
    this.log.delete();
  }

  /** A restart of the broker loses the times of received messages. */
  forgetReceived(): void {
    this.#firstReceived = 0n;
    this.#lastReceived = 0n;
  }

  /** Drops the messages of a former leader that the current leader does not have. */
  alignWith(leader: Replica): void {
    if (this.#alignedWith === leader.state.leaderEpoch) return;
    this.#alignedWith = leader.state.leaderEpoch;
    this.log.truncate(divergence(this.log, leader.log));
  }

  /** Records that a follower has every message up to this offset. */
  replicated(broker: string, offset: number): void {
    if (this.#replicated.get(broker) === offset) return;
    this.#replicated.set(broker, offset);
    if (this.#leading) this.advance();
  }

  /** Commits the messages that every in-sync replica has, and sends their acks. */
  advance(): void {
    const { isr } = this.state;
    if (!this.#leading || isr.size < this.#minIsr) return;
    let committed = this.log.newestOffset;
    for (const broker of isr) {
      if (broker !== this.#host.id) committed = Math.min(committed, this.#replicated.get(broker) ?? -1);
    }
    if (this.log.setHighWatermark(committed)) this.#host.committed(this);
    this.#commits.release(committed, (offset, request) => this.#ack(request, offset));
  }

  #subscribe(): void {
    const queue = this.#queue === '' ? {} : { queue: this.#queue };
    try {
      this.#subscription = this.#host.bus.subscribe(this.state.subject, (message) => this.#receive(message), queue);
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
      this.#host.warn(
        `partition ${this.id} of stream ${this.stream} cannot subscribe to its subject: ${error.message}`,
      );
    }
  }

  #receive(message: BusMessage): void {
    const now = this.#host.clock.nanos();
    if (this.#firstReceived === 0n) this.#firstReceived = now;
    this.#lastReceived = now;
    const published = readMessageEnvelope(message.data, emptyMessage());
    const request = published && published.ackInbox !== '' ? requestOf(published, message, now) : null;
    if (message.data.length > this.#maxBytes) {
      if (request) this.#nack(request, ACK_ERROR.TOO_LARGE);
      return;
    }
    const offset = this.#append(message, published, request, now);
    if (offset !== -1) this.#appended(offset, published === null ? LEADER : published.ackPolicyCode, request);
  }

  /** Returns -1 for a refused message. */
  #append(message: BusMessage, published: MessageTarget | null, request: AckRequest | null, now: bigint): number {
    try {
      return this.log.append(this.#entry(message, published, now));
    } catch (error) {
      const code = refusal(error);
      // A readonly or closed log drops messages without an ack.
      if (code !== null && request) this.#nack(request, code);
      if (code === ACK_ERROR.UNKNOWN) this.#host.warn(`message on ${message.subject} was not stored: ${String(error)}`);
      return -1;
    }
  }

  #entry(message: BusMessage, published: MessageTarget | null, timestamp: bigint): LogEntry {
    return {
      key: published === null ? null : published.key,
      value: published === null ? message.data : published.value,
      headers: published === null || published.source === null ? NO_HEADERS : decodeMessageHeaders(published),
      subject: message.subject,
      reply: message.reply,
      timestamp,
      expectedOffset: published === null ? 0n : published.offset,
      leaderEpoch: this.state.leaderEpoch,
    };
  }

  #appended(offset: number, policy: number, request: AckRequest | null): void {
    if (policy === LEADER && request) this.#ack(request, offset);
    if (policy === ALL && request) this.#commits.add(offset, request);
    if (this.#single && policy !== ALL) {
      if (this.log.setHighWatermark(offset)) this.#host.committed(this);
    } else this.advance();
    if (this.state.replicas.length > 1) this.#host.appended(this);
  }

  #ack(request: AckRequest, offset: number): void {
    const now = this.#host.clock.nanos();
    const bytes = encodeAck(this.stream, this.#streamSubject, request, BigInt(offset), now, ACK_ERROR.OK);
    this.#host.sendAck(request.ackInbox, bytes);
  }

  #nack(request: AckRequest, error: number): void {
    const now = error === ACK_ERROR.TOO_LARGE ? 0n : this.#host.clock.nanos();
    this.#host.sendAck(request.ackInbox, encodeAck(this.stream, this.#streamSubject, request, 0n, now, error));
  }

  #idleness() {
    return {
      lastReceived: () => (this.#lastReceived === 0n ? null : Number(this.#lastReceived / 1_000_000n)),
      subscribers: () => this.#subscribers,
    };
  }
}

function requestOf(published: MessageTarget, message: BusMessage, now: bigint): AckRequest {
  return {
    ackInbox: published.ackInbox,
    correlationId: published.correlationId,
    ackPolicy: published.ackPolicyCode,
    subject: message.subject,
    receptionTimestamp: now,
  };
}

/** The error of the ack for a message that was not stored; null when none is sent. */
function refusal(error: unknown): number | null {
  if (error instanceof IncorrectOffsetError) return ACK_ERROR.INCORRECT_OFFSET;
  if (error instanceof EncryptionError) return ACK_ERROR.ENCRYPTION;
  return error instanceof LogError ? null : ACK_ERROR.UNKNOWN;
}
