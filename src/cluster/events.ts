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
  /** A broker answers, for the first time or again. */
  readonly connect: readonly [{ readonly broker: BrokerReference }];
  /** A broker does not answer any more; it is tried again in the background. */
  readonly disconnect: readonly [{ readonly broker: BrokerReference; readonly error: LiftbridgeError }];
  /** The cached metadata was replaced by this snapshot, which `client.metadata` answers from now on. */
  readonly metadata: readonly [metadata: Metadata];
  /** A partition has another leader than the cache knew; null where there is none. Not for partitions that are new or gone. */
  readonly leaderChange: readonly [
    { readonly stream: string; readonly partition: number; readonly from: string | null; readonly to: string | null },
  ];
  /** A call failed and is tried again after `delay` milliseconds; `attempt` is the one that failed, from 1. */
  readonly retry: readonly [
    { readonly operation: string; readonly attempt: number; readonly delay: number; readonly error: unknown },
  ];
  /** A subscription broke and stands again; `position` is the next offset it expects. */
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
  /** What nobody awaits failed: a refused publish without ack, a checkpoint in the background. */
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

/** Hands events from the rooms of the client to whoever listens. */
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

  /** Calls every listener, in the order in which they came. One that throws ends the process's peace, not the caller's work. */
  emit<Name extends keyof ClusterEvents>(name: Name, ...event: ClusterEvents[Name]): void {
    for (const listener of [...this.#listeners[name]]) {
      try {
        listener(...event);
      } catch (error) {
        // As from an EventEmitter nobody shields: an uncaught exception, only not in the middle of the client's own work.
        nextTick(() => {
          throw error;
        });
      }
    }
  }

  /** Adds a listener; answers the way to take it back. */
  on<Name extends keyof ClusterEvents>(name: Name, listener: Listener<Name>): () => void {
    this.#listeners[name].add(listener);
    return () => this.#listeners[name].delete(listener);
  }

  /** Takes all listeners off. */
  clear(): void {
    for (const name of EVENT_NAMES) this.#listeners[name].clear();
  }
}
