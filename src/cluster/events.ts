import { nextTick } from '../async/timers.js';
import type { LiftbridgeError } from '../errors.js';
import type { Metadata } from './metadata.js';

/** A broker as events name it. */
export interface BrokerReference {
  /** Broker id, or the address where no id is known yet. */
  readonly id: string;
  /** `host:port`, translated by `resolveBroker`. */
  readonly address: string;
}

/** Everything that a client reports, by the name of the event; the same on `node:diagnostics_channel`. @inline */
export interface ClusterEvents {
  /** A broker answered, for the first time or after a loss. */
  readonly connect: readonly [{ readonly broker: BrokerReference }];
  /** A broker stopped answering; the client tries to reach it again in the background. */
  readonly disconnect: readonly [{ readonly broker: BrokerReference; readonly error: LiftbridgeError }];
  /** The cached metadata was replaced by this snapshot, which `client.metadata` returns from now on. */
  readonly metadata: readonly [metadata: Metadata];
  /** A partition has another leader than the cache knew; null where there is none. Not for partitions that are new or gone. */
  readonly leaderChange: readonly [
    { readonly stream: string; readonly partition: number; readonly from: string | null; readonly to: string | null },
  ];
  /** A call failed and is tried again after `delay` milliseconds; `attempt` is the one that failed, from 1. */
  readonly retry: readonly [
    { readonly operation: string; readonly attempt: number; readonly delay: number; readonly error: unknown },
  ];
  /** A subscription broke and was opened again; `position` is the next offset it expects. */
  readonly resubscribe: readonly [
    { readonly stream: string; readonly partition: number; readonly position: bigint; readonly error: unknown },
  ];
  /** A consumer group was rebalanced: what this consumer holds now, and what of it is new or gone; stream to partitions. */
  readonly rebalance: readonly [
    {
      readonly groupId: string;
      readonly consumerId: string;
      readonly epoch: bigint;
      readonly assignments: ReadonlyMap<string, readonly number[]>;
      readonly assigned: ReadonlyMap<string, readonly number[]>;
      readonly revoked: ReadonlyMap<string, readonly number[]>;
    },
  ];
  /** Work without a waiting caller failed: a refused publish without ack, a checkpoint in the background. */
  readonly asyncError: readonly [error: LiftbridgeError];
}

type Listener<Name extends keyof ClusterEvents> = (...event: ClusterEvents[Name]) => void;
type Listeners = { [Name in keyof ClusterEvents]: Set<Listener<Name>> };

/** The names of all events. */
export const EVENT_NAMES = [
  'connect',
  'disconnect',
  'metadata',
  'leaderChange',
  'retry',
  'resubscribe',
  'rebalance',
  'asyncError',
] as const satisfies readonly (keyof ClusterEvents)[];

/** Delivers events of all layers of the client to their listeners. */
export class EventHub {
  readonly #listeners: Listeners = {
    connect: new Set(),
    disconnect: new Set(),
    metadata: new Set(),
    leaderChange: new Set(),
    retry: new Set(),
    resubscribe: new Set(),
    rebalance: new Set(),
    asyncError: new Set(),
  };

  /** Calls every listener in the order of registration. A listener that throws surfaces as an uncaught exception; `emit` itself never throws. */
  emit<Name extends keyof ClusterEvents>(name: Name, ...event: ClusterEvents[Name]): void {
    for (const listener of [...this.#listeners[name]]) {
      try {
        listener(...event);
      } catch (error) {
        // Like an error in a listener of an EventEmitter, but after the client's own work is done.
        nextTick(() => {
          throw error;
        });
      }
    }
  }

  /** Adds a listener; returns the function that removes it. */
  on<Name extends keyof ClusterEvents>(name: Name, listener: Listener<Name>): () => void {
    this.#listeners[name].add(listener);
    return () => this.#listeners[name].delete(listener);
  }

  /** Removes all listeners. */
  clear(): void {
    for (const name of EVENT_NAMES) this.#listeners[name].clear();
  }
}
