import type { Faults } from '../faults.js';
import { type Bus, BusError, type BusMessage, type BusSubscription } from '../nats/bus.js';

/**
 * The bus as one broker uses it. While NATS is down, no message passes in either direction. While the broker is frozen,
 * NATS keeps the messages for it; the broker receives them in order when it thaws.
 */
export class BrokerBus implements Bus {
  readonly #bus: Bus;
  readonly #faults: Faults;
  readonly #index: number;
  /** Messages that arrive or leave while the broker is frozen; null while it is not. */
  #kept: (() => void)[] | null = null;

  constructor(bus: Bus, faults: Faults, index: number) {
    this.#bus = bus;
    this.#faults = faults;
    this.#index = index;
    faults.onChange(() => this.#look());
  }

  get maxPayload(): number {
    return this.#bus.maxPayload;
  }

  publish(subject: string, data: Uint8Array, reply?: string): void {
    if (this.#faults.network.natsDown) throw new BusError('nats: outbound buffer limit exceeded');
    if (this.#kept === null) this.#bus.publish(subject, data, reply);
    else this.#kept.push(() => this.publish(subject, data, reply));
  }

  subscribe(subject: string, handler: (message: BusMessage) => void, options?: { queue?: string }): BusSubscription {
    let active = true;
    const receive = (message: BusMessage) => {
      if (!active || this.#faults.network.natsDown) return;
      if (this.#kept === null) handler(message);
      else this.#keep(message, receive);
    };
    const subscription = this.#bus.subscribe(subject, receive, options);
    return {
      unsubscribe: () => {
        active = false;
        subscription.unsubscribe();
      },
    };
  }

  flush(): Promise<void> {
    return this.#bus.flush();
  }

  close(): Promise<void> {
    return this.#bus.close();
  }

  /** Discards the kept messages, because the broker was killed. */
  discard(): void {
    if (this.#kept !== null) this.#kept = [];
  }

  #keep(message: BusMessage, receive: (message: BusMessage) => void): void {
    // The bytes may be a view of a chunk that is overwritten later.
    const own = { ...message, data: Buffer.from(message.data) };
    this.#kept?.push(() => receive(own));
  }

  #look(): void {
    const frozen = this.#faults.network.isFrozen(this.#index);
    if (frozen) this.#kept ??= [];
    if (frozen || this.#kept === null) return;
    const kept = this.#kept;
    this.#kept = null;
    for (const take of kept) take();
  }
}
