import type { wire } from 'liftbridge-client/protocol';
import { deferred } from 'liftbridge-client/protocol';
import type { Clock, ClockTimer } from '../clock.js';
import type { BrokerNode } from '../cluster/contract.js';
import { RpcError } from '../grpc/status.js';
import type { BusSubscription } from '../nats/bus.js';
import { orUnknown } from './bus-errors.js';
import { nuid } from './nuid.js';
import { readAck } from './read-ack.js';

/** A new ack inbox of a broker's namespace. */
export function ackInboxOf(node: BrokerNode): string {
  return `${node.settings['clustering.namespace']}.ack.${nuid()}`;
}

/** Waits for the first message in an ack inbox and reads it as an ack. Call `close` at the end. */
export class AckWait {
  readonly #clock: Clock;
  readonly #subscription: BusSubscription;
  readonly #timer: ClockTimer;
  readonly #signal: AbortSignal;
  readonly #deadline: number;
  readonly #ack = deferred<wire.Ack>();

  /** Throws UNKNOWN when the subscription to the inbox fails. `deadline`: milliseconds of the broker's clock. */
  constructor(node: BrokerNode, inbox: string, signal: AbortSignal, deadline: number) {
    this.#clock = node.clock;
    this.#signal = signal;
    this.#deadline = deadline;
    // When the message does not reach NATS, no caller waits for the ack.
    this.ack.catch(() => {});
    this.#subscription = orUnknown('failed to subscribe to ack inbox', () =>
      node.bus.subscribe(inbox, ({ data }) => this.#received(data)),
    );
    this.#timer = node.clock.after(deadline - node.clock.now(), this.#late);
    signal.addEventListener('abort', this.#aborted);
    if (signal.aborted) this.#aborted();
  }

  /** Rejects with UNKNOWN for a message that is no ack, and with DEADLINE_EXCEEDED and CANCELLED. */
  get ack(): Promise<wire.Ack> {
    return this.#ack.promise;
  }

  close(): void {
    this.#subscription.unsubscribe();
    this.#timer.cancel();
    this.#signal.removeEventListener('abort', this.#aborted);
  }

  #received(data: Buffer): void {
    try {
      this.#ack.resolve(readAck(data));
    } catch (error) {
      this.#ack.reject(error);
    }
  }

  readonly #late = (): void => {
    this.#ack.reject(new RpcError('DEADLINE_EXCEEDED', 'context deadline exceeded'));
  };

  readonly #aborted = (): void => {
    if (this.#clock.now() >= this.#deadline) this.#late();
    else this.#ack.reject(new RpcError('CANCELLED', 'context canceled'));
  };
}
