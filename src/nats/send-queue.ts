import { monotonicNow } from '../async/clock.js';
import { clearTimeout, setImmediate, setTimeout } from '../async/timers.js';
import { InFlightWindow, type WindowLimits } from '../collections/in-flight-window.js';
import { type Destination, Destinations } from './destinations.js';
import type { PendingPublish } from './pending-publish.js';
import { PublishQueue } from './publish-queue.js';

/** Publishes that are passed over, held back or too late, before the event loop gets a turn. */
const PASSED_OVER = 256;

/**
 * Keeps what is under way within bounds, and what comes beyond in order. A publish that has waited for its turn is sent
 * only when there is time for its answer: sent in its last milliseconds it would be stored and reported as unknown.
 */
export class SendQueue {
  readonly #window: InFlightWindow;
  readonly #send: (publish: PendingPublish) => void;
  readonly #inFlight = new Set<PendingPublish>();
  readonly #queue = new PublishQueue();
  readonly #destinations = new Destinations();
  /** Those that are not sent any more and wait for their deadline. */
  readonly #late = new Set<PendingPublish>();
  /** The one that is just being added: it has not waited, so that all of its time is left. */
  #newest: PendingPublish | null = null;
  #unsent = 0;
  #pumping = false;
  #pumpsLater = false;
  #paused = false;
  #nextLook: NodeJS.Timeout | null = null;
  #nextLookAt = 0;

  constructor(limits: WindowLimits, send: (publish: PendingPublish) => void) {
    this.#window = new InFlightWindow(limits);
    this.#send = send;
  }

  /** Publishes that have not settled. */
  get size(): number {
    return this.#inFlight.size + this.#unsent;
  }

  /** What has been sent and not settled, in order. */
  sent(): PendingPublish[] {
    return [...this.#inFlight];
  }

  /** What has not been sent, in order for each subject. */
  waiting(): PendingPublish[] {
    const held = this.#destinations.holding().flatMap((destination) => destination.held.pending());
    return [...this.#late, ...held, ...this.#queue.pending()];
  }

  /** Sends it as soon as everything before it was sent and there is room. */
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
    this.#requeue(this.#destinations.wake());
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  /** To be called for every answer to a publish, before it settles. */
  answered({ destination, sentAt }: PendingPublish): void {
    destination!.answered(sentAt);
    this.#wake(destination!);
  }

  /** To be called for an answer that no publish waits for any more. */
  answeredLate(subject: string): void {
    const destination = this.#destinations.known(subject);
    if (destination === undefined) return;
    destination.answeredLate();
    this.#wake(destination);
  }

  /** To be called for a publish that expires, before it settles. */
  expired(publish: PendingPublish): void {
    if (publish.sent) publish.destination!.unanswered(publish.sentAt);
    else if (this.#paused) publish.wait = 'connection';
  }

  /** To be called when a publish settles. */
  release(publish: PendingPublish): void {
    const destination = publish.destination!;
    if (this.#inFlight.delete(publish)) {
      this.#window.remove(publish.size);
      destination.underWay--;
    } else {
      this.#unsent--;
      publish.waitsIn?.forget();
      this.#late.delete(publish);
    }
    if (destination.probe === publish) destination.probe = null;
    this.#look(destination);
    this.#destinations.leave(destination);
    if (this.size === 0) this.#stopLooking();
    this.#pump();
  }

  #pump(): void {
    // A send that fails settles its publish at once, which comes back here.
    if (this.#pumping || this.#pumpsLater || this.#paused) return;
    this.#pumping = true;
    try {
      let passedOver = 0;
      for (
        let next = this.#queue.first();
        next !== undefined && this.#window.fits(next.size);
        next = this.#queue.first()
      ) {
        if (passedOver === PASSED_OVER) {
          this.#pumpLater();
          return;
        }
        this.#queue.shift();
        if (!this.#start(next)) passedOver++;
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

  /** Sends a publish whose turn has come; false when it has to wait on, or is too late. */
  #start(publish: PendingPublish): boolean {
    const destination = publish.destination!;
    const now = monotonicNow();
    if (destination.holds(publish, now)) {
      publish.wait = 'silence';
      destination.held.push(publish);
      this.#look(destination);
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
    destination.asked(publish, now);
    this.#send(publish);
    return true;
  }

  #requeue(publishes: readonly PendingPublish[]): void {
    if (publishes.length === 0) return;
    for (const publish of publishes) publish.wait = 'window';
    this.#queue.unshift(publishes);
  }

  #wake(destination: Destination): void {
    if (!destination.silent) return;
    this.#requeue(destination.wake());
    this.#pump();
  }

  /** Lets the first that a silent destination holds back, and that has time, go now or when its turn has come. */
  #look(destination: Destination): void {
    if (!destination.silent || destination.probe !== null) return;
    const now = monotonicNow();
    const pause = destination.pauseUntilProbe(now);
    const first = pause > 0 ? destination.held.first() : this.#firstInTime(destination, now);
    if (first === undefined) return;
    if (pause > 0) {
      this.#lookAt(now, pause);
      return;
    }
    destination.held.shift();
    destination.probe = first;
    this.#requeue([first]);
    this.#pump();
  }

  #firstInTime(destination: Destination, now: number): PendingPublish | undefined {
    const { held } = destination;
    for (let first = held.first(); first !== undefined; first = held.first()) {
      if (destination.hasTime(first, now)) return first;
      held.shift();
      this.#late.add(first);
    }
    return undefined;
  }

  #lookAt(now: number, pause: number): void {
    if (this.#nextLook !== null && this.#nextLookAt <= now + pause) return;
    this.#stopLooking();
    this.#nextLookAt = now + pause;
    this.#nextLook = setTimeout(() => {
      this.#nextLook = null;
      for (const destination of this.#destinations.holding()) this.#look(destination);
    }, pause);
  }

  #stopLooking(): void {
    if (this.#nextLook !== null) clearTimeout(this.#nextLook);
    this.#nextLook = null;
  }
}
