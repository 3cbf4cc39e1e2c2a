import { monotonicNow } from '../async/clock.js';
import { clearTimeout, setImmediate, setTimeout } from '../async/timers.js';
import { InFlightWindow, type WindowLimits } from '../collections/in-flight-window.js';
import { type Destination, Destinations } from './destinations.js';
import type { PendingPublish } from './pending-publish.js';
import { PublishQueue } from './publish-queue.js';

/** Publishes that are skipped, held back or too late, before the event loop gets a turn. */
const MOST_SKIPPED = 256;

/**
 * Bounds the publishes in flight and keeps the others in order. A publish that has waited is sent only when there is time for
 * its ack. Sent in its last milliseconds it would be stored, and reported as a timeout with an unknown outcome.
 */
export class SendQueue {
  readonly #window: InFlightWindow;
  readonly #send: (publish: PendingPublish) => void;
  readonly #inFlight = new Set<PendingPublish>();
  readonly #queue = new PublishQueue<PendingPublish>();
  readonly #destinations = new Destinations<PendingPublish>();
  /** Publishes that are no longer sent and wait for their deadline. */
  readonly #late = new Set<PendingPublish>();
  /** The publish that is being added: it has not waited, so all of its time is left. */
  #newest: PendingPublish | null = null;
  #unsent = 0;
  #pumping = false;
  #pumpsLater = false;
  #paused = false;
  #probeTimer: NodeJS.Timeout | null = null;
  #nextProbeAt = 0;

  constructor(limits: WindowLimits, send: (publish: PendingPublish) => void) {
    this.#window = new InFlightWindow(limits);
    this.#send = send;
  }

  /** Publishes that have not settled. */
  get size(): number {
    return this.#inFlight.size + this.#unsent;
  }

  /** Publishes that were sent and have not settled, in order. */
  sent(): PendingPublish[] {
    return [...this.#inFlight];
  }

  /** Publishes that were not sent, in order for each subject. */
  waiting(): PendingPublish[] {
    const held = this.#destinations.holding().flatMap((destination) => destination.held.pending());
    return [...this.#late, ...held, ...this.#queue.pending()];
  }

  /** Sends a publish as soon as all before it were sent and there is room. */
  add(publish: PendingPublish): void {
    publish.destination = this.#destinations.of(publish);
    this.#unsent++;
    this.#queue.push(publish);
    this.#newest = publish;
    this.#pump();
    this.#newest = null;
  }

  /** Sends nothing until `resume`. */
  pause(): void {
    this.#paused = true;
    this.#requeue(this.#destinations.endSilences());
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  /** Records a response to a publish, before it settles. */
  recordResponse({ destination, sentAt }: PendingPublish): void {
    destination!.recordResponse(sentAt);
    this.#endSilence(destination!);
  }

  /** Records a response to a publish that has settled before. */
  recordLateResponse(subject: string): void {
    const destination = this.#destinations.known(subject);
    if (destination === undefined) return;
    destination.recordLateResponse();
    this.#endSilence(destination);
  }

  /** Records that a publish timed out, before it settles. */
  recordTimeout(publish: PendingPublish): void {
    if (publish.sent) publish.destination!.recordTimeout(publish.sentAt);
    else if (this.#paused) publish.wait = 'connection';
  }

  /** Removes a publish that has settled. */
  remove(publish: PendingPublish): void {
    const destination = publish.destination!;
    if (this.#inFlight.delete(publish)) {
      this.#window.remove(publish.size);
      destination.inFlight--;
    } else {
      this.#unsent--;
      publish.waitsIn?.recordSettled();
      this.#late.delete(publish);
    }
    if (destination.probe === publish) destination.probe = null;
    this.#probe(destination);
    this.#destinations.prune(destination);
    if (this.size === 0) this.#cancelProbe();
    this.#pump();
  }

  #pump(): void {
    // A send that fails settles its publish at once, which calls this again.
    if (this.#pumping || this.#pumpsLater || this.#paused) return;
    this.#pumping = true;
    try {
      let skipped = 0;
      for (
        let next = this.#queue.first();
        next !== undefined && this.#window.fits(next.size);
        next = this.#queue.first()
      ) {
        if (skipped === MOST_SKIPPED) {
          this.#pumpLater();
          return;
        }
        this.#queue.shift();
        if (!this.#start(next)) skipped++;
      }
    } finally {
      this.#pumping = false;
    }
  }

  #pumpLater(): void {
    this.#pumpsLater = true;
    setImmediate(() => {
      this.#pumpsLater = false;
      this.#pump();
    });
  }

  /** Sends a publish whose turn has come. False when it is held back or is too late. */
  #start(publish: PendingPublish): boolean {
    const destination = publish.destination!;
    const now = monotonicNow();
    if (destination.holds(publish, now)) {
      publish.wait = 'silence';
      destination.held.push(publish);
      this.#probe(destination);
      return false;
    }
    const hasTime = publish === this.#newest || destination.hasTime(publish, now);
    if (!hasTime || publish.signal?.aborted) {
      publish.wait = destination.silent ? 'silence' : 'late';
      this.#late.add(publish);
      return false;
    }
    this.#unsent--;
    this.#inFlight.add(publish);
    this.#window.add(publish.size);
    publish.sentAt = now;
    destination.recordSend(publish, now);
    this.#send(publish);
    return true;
  }

  #requeue(publishes: readonly PendingPublish[]): void {
    if (publishes.length === 0) return;
    for (const publish of publishes) publish.wait = 'full';
    this.#queue.unshift(publishes);
  }

  #endSilence(destination: Destination<PendingPublish>): void {
    if (!destination.silent) return;
    this.#requeue(destination.endSilence());
    this.#pump();
  }

  /** Sends the first publish that a silent destination holds back and that has time, now or when the next probe is due. */
  #probe(destination: Destination<PendingPublish>): void {
    if (!destination.silent || destination.probe !== null) return;
    const now = monotonicNow();
    const pause = destination.pauseUntilProbe(now);
    const first = pause > 0 ? destination.held.first() : this.#firstInTime(destination, now);
    if (first === undefined) return;
    if (pause > 0) {
      this.#probeAfter(now, pause);
      return;
    }
    destination.held.shift();
    destination.probe = first;
    this.#requeue([first]);
    this.#pump();
  }

  #firstInTime(destination: Destination<PendingPublish>, now: number): PendingPublish | undefined {
    const { held } = destination;
    for (let first = held.first(); first !== undefined; first = held.first()) {
      if (destination.hasTime(first, now)) return first;
      held.shift();
      this.#late.add(first);
    }
    return undefined;
  }

  #probeAfter(now: number, pause: number): void {
    if (this.#probeTimer !== null && this.#nextProbeAt <= now + pause) return;
    this.#cancelProbe();
    this.#nextProbeAt = now + pause;
    this.#probeTimer = setTimeout(() => {
      this.#probeTimer = null;
      for (const destination of this.#destinations.holding()) this.#probe(destination);
    }, pause);
  }

  #cancelProbe(): void {
    if (this.#probeTimer !== null) clearTimeout(this.#probeTimer);
    this.#probeTimer = null;
  }
}
