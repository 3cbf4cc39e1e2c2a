import { deferred } from 'liftbridge-client/protocol';
import { queueMicrotask, setImmediate } from '../timers.js';
import { type Bus, BusError, type BusMessage, type BusSubscription } from './bus.js';
import { type Recipients, SubjectIndex } from './subject-index.js';
import { isSubscribable, isTooLong, publishTarget } from './subjects.js';

/** NATS' own default for the largest payload, in bytes. */
const DEFAULT_MAX_PAYLOAD = 1_048_576;

/** How a {@link MemoryBus} is set up. */
export interface MemoryBusOptions {
  /** Largest payload in bytes, headers included. Default 1,048,576. */
  readonly maxPayload?: number;
  /**
   * Receives the error of a handler that throws, and of a message that NATS would lose over its unreadable subject. By
   * default the error surfaces as an uncaught exception.
   */
  readonly onError?: (error: unknown, message: BusMessage) => void;
  /** Chooses the member of a queue group: a number from 0 to below 1. Default Math.random. */
  readonly random?: () => number;
}

/** Options of a subscription to a {@link MemoryBus}. */
export interface MemorySubscribeOptions {
  /** Queue group; without one the subscription receives every message. */
  readonly queue?: string;
  /** Owner of the subscription; it does not receive what the owner publishes with `publishMessage(message, owner)`. */
  readonly owner?: object;
}

interface Member {
  readonly queue: string;
  readonly owner: object | undefined;
  readonly handler: (message: BusMessage) => void;
  active: boolean;
}

interface Waiting {
  readonly recipients: Recipients<Member>;
  readonly message: BusMessage;
  readonly from: object | undefined;
}

const MAX_DELIVERIES_PER_TURN = 10_000;
/** Characters that split a subject or break its line. */
const AMBIGUOUS_SUBJECT = /[ \t\n]/;

/**
 * The NATS bus inside the process: delivers synchronously and in order, to brokers and NATS clients alike. When
 * handlers cause more than 10,000 further messages, later turns of the event loop deliver the rest, and with it, still
 * in order, all messages published until then.
 */
export class MemoryBus implements Bus {
  readonly maxPayload: number;
  readonly #index = new SubjectIndex<Member>();
  readonly #onError: (error: unknown, message: BusMessage) => void;
  readonly #random: () => number;
  #waiting: Waiting[] = [];
  #delivering = false;
  #idle: (() => void)[] = [];
  #closed = false;

  constructor(options: MemoryBusOptions = {}) {
    this.maxPayload = options.maxPayload ?? DEFAULT_MAX_PAYLOAD;
    this.#onError = options.onError ?? throwLater;
    this.#random = options.random ?? Math.random;
  }

  publish(subject: string, data: Uint8Array, reply = ''): void {
    if (subject === '') throw new BusError('nats: invalid subject');
    const message = { subject, reply, data: asBuffer(data) };
    if (
      !AMBIGUOUS_SUBJECT.test(subject) &&
      (reply === '' || !AMBIGUOUS_SUBJECT.test(reply)) &&
      !isTooLong(subject + reply)
    ) {
      this.publishMessage(message);
      return;
    }
    const target = publishTarget(subject, reply);
    if (target) this.publishMessage({ ...message, ...target });
    else
      this.#report(
        new Error(`message lost: NATS cannot read the subject ${JSON.stringify(subject.slice(0, 100))}`),
        message,
      );
  }

  /**
   * Publishes a message with its raw headers, and returns whether any subscription receives it, except those owned by
   * `from`. Takes subject and reply unchanged. Throws BusError for a payload above the maximum and a closed bus.
   */
  publishMessage(message: BusMessage, from?: object): boolean {
    if (this.#closed) throw new BusError('nats: connection closed');
    const size = message.data.length + (message.headers === undefined ? 0 : message.headers.length);
    if (size > this.maxPayload) throw new BusError('nats: maximum payload exceeded');
    return this.#dispatch(this.#index.match(message.subject), message, from);
  }

  /** Throws BusError for a subject or a queue name that NATS refuses, and for a closed bus. */
  subscribe(
    subject: string,
    handler: (message: BusMessage) => void,
    options: MemorySubscribeOptions = {},
  ): BusSubscription {
    if (this.#closed) throw new BusError('nats: connection closed');
    if (!isSubscribable(subject)) throw new BusError('nats: invalid subject');
    const queue = options.queue ?? '';
    if (/[ \t\r\n]/.test(queue)) throw new BusError('nats: invalid queue name');
    const member: Member = { queue, owner: options.owner, handler, active: true };
    this.#index.add(subject, member);
    return { unsubscribe: () => this.#leave(subject, member) };
  }

  /** Resolves when every message is delivered. */
  async flush(): Promise<void> {
    if (this.#closed) throw new BusError('nats: connection closed');
    if (!this.#delivering) return;
    const idle = deferred();
    this.#idle.push(idle.resolve);
    await idle.promise;
  }

  /** Drops waiting messages; from then on the bus refuses all calls. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting = [];
  }

  #leave(subject: string, member: Member): void {
    if (!member.active) return;
    member.active = false;
    this.#index.remove(subject, member);
  }

  #dispatch(recipients: Recipients<Member>, message: BusMessage, from: object | undefined): boolean {
    if (this.#delivering) {
      this.#waiting.push({ recipients, message, from });
      return (
        recipients.singles.some((member) => accepts(member, from)) ||
        recipients.groups.some((group) => group.some((member) => accepts(member, from)))
      );
    }
    this.#delivering = true;
    const received = this.#deliver(recipients, message, from);
    this.#deliverWaiting();
    return received;
  }

  #deliverWaiting(): void {
    for (let next = 0; next < this.#waiting.length; next++) {
      if (next === MAX_DELIVERIES_PER_TURN) {
        // Handlers that keep responding to each other must not block the process for good.
        this.#waiting = this.#waiting.slice(next);
        setImmediate(() => this.#deliverWaiting());
        return;
      }
      const { recipients, message, from } = this.#waiting[next]!;
      this.#deliver(recipients, message, from);
    }
    if (this.#waiting.length > 0) this.#waiting = [];
    this.#delivering = false;
    if (this.#idle.length > 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #deliver(recipients: Recipients<Member>, message: BusMessage, from: object | undefined): boolean {
    let received = false;
    for (const member of recipients.singles) {
      if (!accepts(member, from)) continue;
      received = true;
      this.#hand(member, message);
    }
    for (const group of recipients.groups) {
      const member = this.#choose(group, from);
      if (!member) continue;
      received = true;
      this.#hand(member, message);
    }
    return received;
  }

  #choose(group: readonly Member[], from: object | undefined): Member | undefined {
    const start = Math.floor(this.#random() * group.length);
    const chosen = group[start];
    if (chosen && accepts(chosen, from)) return chosen;
    const others = group.filter((member) => accepts(member, from));
    return others[Math.floor(this.#random() * others.length)];
  }

  #hand(member: Member, message: BusMessage): void {
    try {
      member.handler(message);
    } catch (error) {
      this.#report(error, message);
    }
  }

  #report(error: unknown, message: BusMessage): void {
    try {
      this.#onError(error, message);
    } catch (failure) {
      throwLater(failure);
    }
  }
}

function accepts(member: Member, from: object | undefined): boolean {
  return member.active && (from === undefined || member.owner !== from);
}

function asBuffer(data: Uint8Array): Buffer {
  return Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
