import { monotonicNow } from '../async/clock.js';
import type { Waiting } from '../async/deadline.js';
import type { BrokerTarget, Cluster } from '../cluster/cluster-api.js';
import type { ReceivedMessage } from '../protocol/received-message.js';
import type { DuplexStream } from '../transport/duplex.js';
import type { StreamEnd } from '../transport/stream-end.js';
import type { ReadRange } from './read-range.js';
import { openSubscribeCall } from './subscribe-call.js';
import type { Place } from './subscribe-errors.js';

/** Receives the messages of one call, and its end. */
export interface CallEvents {
  /** Something arrived. */
  activity(): void;
  messages(messages: ReceivedMessage[], bytes: number): void;
  /** The range is complete; 'ascending': the server sent a message that is not part of a reverse read. */
  complete(why: 'over' | 'ascending'): void;
  /** The call ended by itself. */
  ended(end: StreamEnd): void;
}

/** One Subscribe call of a reader, from its request to its end. After `cancel` it has no effect on the reader. */
export class ReaderCall {
  readonly target: BrokerTarget;
  readonly #range: ReadRange;
  readonly #events: CallEvents;
  #stream: DuplexStream | null = null;
  #openedAt = 0;
  #hasDelivered = false;
  #isOver = false;

  constructor(target: BrokerTarget, range: ReadRange, events: CallEvents) {
    this.target = target;
    this.#range = range;
    this.#events = events;
  }

  /** Whether any message of the range came over this call. */
  get hasDelivered(): boolean {
    return this.#hasDelivered;
  }

  /** Milliseconds since the broker confirmed the call. */
  get age(): number {
    return monotonicNow() - this.#openedAt;
  }

  /** Sends the request and waits for the confirmation. Rejects as `openSubscribeCall` does. */
  async open(cluster: Cluster, request: Uint8Array, waiting: Waiting & { readonly place: Place }): Promise<void> {
    const receive = (messages: ReceivedMessage[], bytes: number): void => this.#receive(messages, bytes);
    this.#stream = await openSubscribeCall(cluster, this.target, request, receive, waiting);
    this.#openedAt = monotonicNow();
  }

  /** Reports the end of the confirmed call from now on. */
  watch(): void {
    void this.#stream?.ended.then((end) => {
      if (this.#isOver) return;
      this.#isOver = true;
      this.#events.ended(end);
    });
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  cancel(reason: string): void {
    this.#isOver = true;
    this.#stream?.cancel(reason);
  }

  #receive(messages: ReceivedMessage[], bytes: number): void {
    if (this.#isOver) return;
    this.#events.activity();
    let kept = messages;
    for (let at = 0; at < messages.length; at++) {
      const verdict = this.#range.judge(messages[at]!);
      if (verdict === 'deliver') {
        if (kept !== messages) kept.push(messages[at]!);
        continue;
      }
      if (kept === messages) kept = messages.slice(0, at);
      if (verdict === 'drop') continue;
      if (verdict === 'last') kept.push(messages[at]!);
      this.#deliver(kept, bytes);
      this.#events.complete(verdict === 'ascending' ? 'ascending' : 'over');
      return;
    }
    this.#deliver(kept, bytes);
  }

  #deliver(messages: ReceivedMessage[], bytes: number): void {
    if (messages.length === 0) return;
    this.#hasDelivered = true;
    this.#events.messages(messages, bytes);
  }
}
