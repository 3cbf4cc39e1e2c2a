import { monotonicNow } from '../async/clock.js';
import { PublishQueue, type QueuedPublish } from './publish-queue.js';

/** Destinations that are kept although no publish is on its way to them. */
const MOST_UNUSED = 4_096;
/** Milliseconds between two publishes to a silent destination. */
const PROBE_PAUSE_MS = 100;
/** Milliseconds that such a publish has at least for its ack. */
const SHORTEST_PROBE_MS = 250;
/** A publish with this part of its timeout left is sent, however long acks take. */
const SUFFICIENT_PART = 0.5;
/** Weight of a new measurement in the moving mean. */
const SMOOTHING = 1 / 8;

/** A publish, as a destination needs it. */
export interface AddressedPublish<T extends QueuedPublish<T>> extends QueuedPublish<T> {
  readonly subject: string;
  /** Acks to wait for; 0 when only the NATS server confirms it. */
  readonly wanted: number;
  /** Milliseconds as of `monotonicNow()`. */
  readonly deadline: number;
  /** Milliseconds. */
  readonly timeout: number;
}

/** Where the responses to publishes come from: a subject, or the NATS server for publishes that want no ack. */
export class Destination<T extends AddressedPublish<T>> {
  /** Publishes that were sent there and have not settled. */
  inFlight = 0;
  /** Publishes that are held back until the silence ends. */
  readonly held = new PublishQueue<T>();
  /** The held publish that is sent in spite of the silence, to find out whether responses come again. */
  probe: T | null = null;
  #silent = false;
  /** Time of the last publish that was sent there, as of `monotonicNow()`; so are the next two. */
  #sentAt = Number.NEGATIVE_INFINITY;
  /** Time of the last response. */
  #respondedAt = Number.NEGATIVE_INFINITY;
  /** Time of the first response after a gap. The latency of what was sent before includes the gap, so it is not measured. */
  #resumedAt = Number.NEGATIVE_INFINITY;
  /** Moving mean of the latency in milliseconds; 0 before the first response. */
  #latency = 0;

  constructor(readonly name: string) {}

  /** True from a publish that timed out without any response since it was sent, until a response comes. */
  get silent(): boolean {
    return this.#silent;
  }

  /**
   * Whether a publish whose turn has come is held back. A broker that does not respond may still store everything that is sent
   * to it, much later. So a silent destination gets one publish now and then, with enough time for its ack, as a probe.
   */
  holds(publish: T, now: number): boolean {
    if (!this.#silent || this.probe === publish) return false;
    return this.probe !== null || this.held.first() !== undefined || this.pauseUntilProbe(now) > 0;
  }

  /** Milliseconds until the next probe may be sent. */
  pauseUntilProbe(now: number): number {
    return this.inFlight === 0 ? 0 : Math.max(0, this.#sentAt + PROBE_PAUSE_MS - now);
  }

  /** Whether the ack of a publish that is sent now can still come in time. */
  hasTime(publish: T, now: number): boolean {
    const needed = this.#silent ? SHORTEST_PROBE_MS : this.#latency;
    return publish.deadline - now >= Math.min(needed, publish.timeout * SUFFICIENT_PART);
  }

  /** Records that a publish is sent there. */
  recordSend(publish: T, now: number): void {
    this.inFlight++;
    this.#sentAt = now;
    if (this.probe === publish) this.probe = null;
  }

  /** Records that a publish timed out which was sent at that time. */
  recordTimeout(sentAt: number): void {
    if (this.#respondedAt < sentAt) this.#silent = true;
  }

  /** Records a response to a publish that was sent at that time. */
  recordResponse(sentAt: number): void {
    const now = monotonicNow();
    this.#measure(sentAt, now);
    this.#respondedAt = now;
  }

  #measure(sentAt: number, now: number): void {
    const gap = now - Math.max(sentAt, this.#respondedAt);
    const resumed = gap > this.#latency;
    if (!resumed && sentAt < this.#resumedAt) return;
    if (resumed) this.#resumedAt = now;
    const latency = now - sentAt;
    this.#latency = this.#latency === 0 ? latency : this.#latency + (latency - this.#latency) * SMOOTHING;
  }

  /** Records a response to a publish that has settled before. */
  recordLateResponse(): void {
    this.#respondedAt = monotonicNow();
  }

  /** Ends the silence. Removes and returns the publishes that were held back. */
  endSilence(): T[] {
    this.#silent = false;
    this.probe = null;
    return this.held.clear();
  }
}

/** The destinations that publishes were sent to lately. */
export class Destinations<T extends AddressedPublish<T>> {
  readonly #byName = new Map<string, Destination<T>>();

  /** The destination of a publish. */
  of({ subject, wanted }: T): Destination<T> {
    const name = wanted === 0 ? '' : subject;
    let destination = this.#byName.get(name);
    if (destination === undefined) {
      destination = new Destination<T>(name);
      this.#byName.set(name, destination);
    }
    return destination;
  }

  /** The destination of a subject; undefined when nothing was published there lately. */
  known(subject: string): Destination<T> | undefined {
    return this.#byName.get(subject);
  }

  /** The destinations that hold publishes back. */
  holding(): Destination<T>[] {
    return [...this.#byName.values()].filter(({ held }) => held.first() !== undefined);
  }

  /** Ends all silences. Removes and returns the publishes that were held back. */
  endSilences(): T[] {
    return [...this.#byName.values()].flatMap((destination) => destination.endSilence());
  }

  /** Removes a destination that no publish is on its way to, when there are too many. */
  prune(destination: Destination<T>): void {
    if (this.#byName.size <= MOST_UNUSED || destination.inFlight > 0) return;
    if (destination.probe === null && destination.held.first() === undefined) this.#byName.delete(destination.name);
  }
}
