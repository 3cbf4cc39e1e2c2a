import type { Cursors } from './admin/cursors.js';
import { monotonicNow } from './async/clock.js';
import { within } from './async/deadline.js';
import type { AdminCluster } from './cluster/cluster-api.js';
import { Consumer } from './consumer/consumer.js';
import type { ConsumerOptions } from './consumer/consumer-options.js';
import type { Closable } from './consumer/context.js';
import { ClosedError } from './errors.js';
import type { Publisher } from './publish/publisher.js';
import type { SubscribeOptions } from './subscribe/positions.js';
import { openSubscription, type Subscription } from './subscribe/subscription.js';

/** The subscriptions and consumers of a client. It keeps each of them until it ends, so that closing the client ends it. */
export class ClientReaders {
  readonly #context;
  readonly #publisher: Publisher;
  readonly #subscriptions = new Set<Subscription>();
  readonly #consumers = new Set<Closable>();
  #closed = false;

  constructor(cluster: AdminCluster, publisher: Publisher, cursors: Cursors) {
    const { requestTimeout, resubscribeTimeout } = cluster.options;
    this.#context = { cluster, cursors, requestTimeout, resubscribeTimeout };
    this.#publisher = publisher;
  }

  /** How many of each there are. */
  get counts(): { readonly subscriptions: number; readonly consumers: number } {
    return { subscriptions: this.#subscriptions.size, consumers: this.#consumers.size };
  }

  /** Opens a subscription. Rejects with CLOSED when the client was closed meanwhile. */
  async subscribe(stream: string, options: SubscribeOptions): Promise<Subscription> {
    let hasEnded = false;
    const ended = (which: Subscription): void => {
      hasEnded = true;
      this.#subscriptions.delete(which);
    };
    const subscription = await openSubscription({ ...this.#context, ended }, stream, options);
    if (!hasEnded) this.#subscriptions.add(subscription);
    if (!this.#closed) return subscription;
    await subscription.close();
    throw closedError('subscribe');
  }

  /** Makes a consumer, which is kept from when it joins its group. */
  createConsumer(groupId: string, options?: ConsumerOptions): Consumer {
    const context = {
      ...this.#context,
      publisher: this.#publisher,
      started: (consumer: Closable) => this.#consumers.add(consumer),
      ended: (consumer: Closable) => this.#consumers.delete(consumer),
    };
    return Consumer.create(context, groupId, options);
  }

  /** Closes consumers, which comes first: their handlers may still publish, and their positions have to be stored. Subscriptions that open from now on are closed. */
  async closeConsumers(deadline: number): Promise<void> {
    this.#closed = true;
    if (this.#consumers.size === 0) return;
    const timeout = Math.max(0, deadline - monotonicNow());
    await within(timeout, Promise.all([...this.#consumers].map((consumer) => consumer.close({ timeout }))));
  }

  async closeSubscriptions(): Promise<void> {
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()));
  }
}

/** The error for a call on a client that is closed. */
export function closedError(operation: string): ClosedError {
  return new ClosedError(`${operation} failed: the client is closed. Connect a new one.`, { operation });
}
