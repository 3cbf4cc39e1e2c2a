import { monotonicNow } from '../async/clock.js';
import type { PendingPublish } from './pending-publish.js';
import { PublishQueue } from './publish-queue.js';

/** Destinations that are remembered while nothing waits for them. */
const REMEMBERED = 4_096;
/** Milliseconds between two publishes to a silent destination. */
const PROBE_PAUSE_MS = 100;
/** Milliseconds that such a publish needs to be answered. */
const PROBE_TIME_MS = 250;
/** Part of its timeout that is enough for a publish to be answered, whatever others need. */
const ENOUGH = 0.5;
/** Weight of a new measurement in the mean. */
const WEIGHT = 1 / 8;

/** Where publishes are answered from: a subject, or the NATS server for those that want no ack. */
export class Destination {
  /** Publishes that were sent there and have not settled. */
  underWay = 0;
  /** What waits for the silence to end. */
  readonly held = new PublishQueue();
  /** The one of them that is sent all the same, to find out whether there is an answer again. */
  probe: PendingPublish | null = null;
  #silent = false;
  /** When something was sent there last, in milliseconds of `monotonicNow()`, as are the next two. */
  #askedAt = Number.NEGATIVE_INFINITY;
  /** When an answer came last. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  /** When answers came again after a gap. What was sent before took as long as the gap, which tells nothing of now. */
  #resumedAt = Number.NEGATIVE_INFINITY;
  /** Milliseconds that an answer takes, a moving mean; 0 before the first. */
  #answerTime = 0;

  constructor(readonly name: string) {}

  /** True from a publish that expired without any answer since it was sent, until an answer comes. */
  get silent(): boolean {
    return this.#silent;
  }

  /**
   * Whether a publish whose turn has come has to be held back. A broker that does not answer may still store all that is
   * sent to it, much later. So it gets one publish now and then, which has time to be answered, to find out whether it
   * answers again.
   */
  holds(publish: PendingPublish, now: number): boolean {
    if (!this.#silent || this.probe === publish) return false;
    return this.probe !== null || this.held.first() !== undefined || this.pauseUntilProbe(now) > 0;
  }

  /** Milliseconds until the next publish may be sent in spite of the silence. */
  pauseUntilProbe(now: number): number {
    return this.underWay === 0 ? 0 : Math.max(0, this.#askedAt + PROBE_PAUSE_MS - now);
  }

  /** Whether an answer can still come in time. */
  hasTime(publish: PendingPublish, now: number): boolean {
    const needed = this.#silent ? PROBE_TIME_MS : this.#answerTime;
    return publish.deadline - now >= Math.min(needed, publish.timeout * ENOUGH);
  }

  /** Notes that a publish goes there. */
  asked(publish: PendingPublish, now: number): void {
    this.underWay++;
    this.#askedAt = now;
    if (this.probe === publish) this.probe = null;
  }

  /** Notes that a publish expired which was sent at that time. */
  unanswered(sentAt: number): void {
    if (this.#answeredAt < sentAt) this.#silent = true;
  }

  /** Notes an answer to what was sent at that time. */
  answered(sentAt: number): void {
    const now = monotonicNow();
    this.#measure(sentAt, now);
    this.#answeredAt = now;
  }

  #measure(sentAt: number, now: number): void {
    const gap = now - Math.max(sentAt, this.#answeredAt);
    const resumed = gap > this.#answerTime;
    if (!resumed && sentAt < this.#resumedAt) return;
    if (resumed) this.#resumedAt = now;
    const took = now - sentAt;
    this.#answerTime = this.#answerTime === 0 ? took : this.#answerTime + (took - this.#answerTime) * WEIGHT;
  }

  /** Notes an answer that no publish waits for any more. */
  answeredLate(): void {
    this.#answeredAt = monotonicNow();
  }

  /** Ends the silence; answers what was held back. */
  wake(): PendingPublish[] {
    this.#silent = false;
    this.probe = null;
    return this.held.clear();
  }
}

/** The destinations of late. */
export class Destinations {
  readonly #byName = new Map<string, Destination>();

  /** The destination of a publish. */
  of({ subject, wanted }: PendingPublish): Destination {
    const name = wanted === 0 ? '' : subject;
    let destination = this.#byName.get(name);
    if (destination === undefined) {
      destination = new Destination(name);
      this.#byName.set(name, destination);
    }
    return destination;
  }

  /** The one of a subject that was published to lately. */
  known(subject: string): Destination | undefined {
    return this.#byName.get(subject);
  }

  /** Those that hold publishes back. */
  holding(): Destination[] {
    return [...this.#byName.values()].filter(({ held }) => held.first() !== undefined);
  }

  /** Ends all silences; answers what was held back. */
  wake(): PendingPublish[] {
    return [...this.#byName.values()].flatMap((destination) => destination.wake());
  }

  /** Forgets a destination that nothing waits for, when there are too many. */
  leave(destination: Destination): void {
    if (this.#byName.size <= REMEMBERED || destination.underWay > 0) return;
    if (destination.probe === null && destination.held.first() === undefined) this.#byName.delete(destination.name);
  }
}
