import type { Clock, ClockTimer } from '../clock.js';
import { RpcError } from '../grpc/status.js';
import type { Group } from './group-table.js';

const RETRY_DELAY_MS = 1_000;

/** The broker whose groups a {@link GroupLiveness} watches. */
export interface LivenessHost {
  /** Id of the broker. */
  readonly id: string;
  readonly clock: Clock;
  /** Milliseconds without a request after which a member expires. */
  readonly consumerTimeout: number;
  /** Whether groups run on the broker: false until a restarted broker has recovered. */
  readonly serving: boolean;
  /** Whether a fault freezes the broker. */
  readonly frozen: boolean;
  group(id: string): Group | undefined;
  groups(): Iterable<Group>;
  /** Removes an expired member from its group. Rejects with RpcError. */
  expire(group: string, consumer: string): Promise<unknown>;
  /** Calls back with the id of a group after each change of its members or its coordinator. */
  onGroupChange(listener: (group: string) => void): () => void;
  /** Calls back each time that the broker has recovered from a restart. */
  onServing(listener: () => void): () => void;
}

/**
 * The timers of the groups that this broker coordinates, one for each member. A member that sends no request in time
 * leaves its group. A broker that becomes the coordinator gives every member the full time again.
 */
export class GroupLiveness {
  readonly #host: LivenessHost;
  readonly #timers = new Map<string, Map<string, ClockTimer>>();
  readonly #unlisten: readonly (() => void)[];

  constructor(host: LivenessHost) {
    this.#host = host;
    this.#unlisten = [host.onGroupChange((group) => this.#follow(group)), host.onServing(() => this.#followAll())];
    this.#followAll();
  }

  /** Gives a member the full time again; false when this broker keeps no timer for it. */
  touch(group: string, consumer: string): boolean {
    const timers = this.#timers.get(group);
    if (!timers?.has(consumer)) return false;
    this.#start(timers, group, consumer, this.#host.consumerTimeout);
    return true;
  }

  /** Ends all timers. */
  stop(): void {
    for (const unlisten of this.#unlisten) unlisten();
    for (const group of [...this.#timers.keys()]) this.#drop(group);
  }

  #followAll(): void {
    for (const { id } of this.#host.groups()) this.#follow(id);
  }

  #follow(id: string): void {
    // A broker that recovers runs no timers: no member expires, and none receives assignments.
    if (!this.#host.serving) return;
    const group = this.#host.group(id);
    if (!group || group.coordinator !== this.#host.id) {
      this.#drop(id);
      return;
    }
    const timers = this.#timers.get(id) ?? new Map<string, ClockTimer>();
    this.#timers.set(id, timers);
    for (const [consumer, timer] of timers) {
      if (group.members.has(consumer)) continue;
      timer.cancel();
      timers.delete(consumer);
    }
    const timeout = this.#host.consumerTimeout;
    for (const consumer of group.members.keys()) {
      if (!timers.has(consumer)) this.#start(timers, id, consumer, timeout);
    }
  }

  #start(timers: Map<string, ClockTimer>, group: string, consumer: string, ms: number): void {
    timers.get(consumer)?.cancel();
    timers.set(
      consumer,
      this.#host.clock.after(ms, () => void this.#expire(timers, group, consumer)),
    );
  }

  async #expire(timers: Map<string, ClockTimer>, group: string, consumer: string): Promise<void> {
    if (this.#host.frozen) {
      this.#start(timers, group, consumer, RETRY_DELAY_MS);
      return;
    }
    try {
      await this.#host.expire(group, consumer);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      // The member has left on its own, or the cluster has no leader now and the removal has to wait.
      if (this.#timers.get(group) === timers && timers.has(consumer))
        this.#start(timers, group, consumer, RETRY_DELAY_MS);
    }
  }

  #drop(group: string): void {
    for (const timer of this.#timers.get(group)?.values() ?? []) timer.cancel();
    this.#timers.delete(group);
  }
}
