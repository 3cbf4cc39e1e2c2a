import type { ClockTimer } from '../clock.js';
import type { BrokerNode } from '../cluster/contract.js';
import { RpcError } from '../grpc/status.js';

const RETRY_DELAY_MS = 1_000;

/**
 * The timers of the groups that this broker coordinates, one a member. A member that is not heard of in time is taken
 * out of its group; a broker that becomes the coordinator gives every member the full time again.
 */
export class GroupLiveness {
  readonly #node: BrokerNode;
  readonly #timers = new Map<string, Map<string, ClockTimer>>();
  readonly #unlisten: readonly (() => void)[];

  constructor(node: BrokerNode) {
    this.#node = node;
    const applied = node.onApplied((_index, operation) => {
      switch (operation.kind) {
        case 'join-group':
        case 'leave-group':
        case 'change-coordinator':
          this.#follow(operation.group);
      }
    });
    this.#unlisten = [applied, node.onServing(() => this.#followAll())];
    this.#followAll();
  }

  /** Gives a member the full time again; false when this broker keeps no timer for it. */
  touch(group: string, consumer: string): boolean {
    const timers = this.#timers.get(group);
    if (!timers?.has(consumer)) return false;
    this.#start(timers, group, consumer, this.#node.settings['groups.consumer.timeout']);
    return true;
  }

  /** Ends all timers. */
  stop(): void {
    for (const unlisten of this.#unlisten) unlisten();
    for (const group of [...this.#timers.keys()]) this.#drop(group);
  }

  #followAll(): void {
    for (const { id } of this.#node.groups()) this.#follow(id);
  }

  #follow(id: string): void {
    // A broker that recovers runs no timers: no member expires, and none is told of assignments.
    if (!this.#node.serving) return;
    const group = this.#node.group(id);
    if (!group || group.coordinator !== this.#node.id) {
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
    const timeout = this.#node.settings['groups.consumer.timeout'];
    for (const consumer of group.members.keys()) {
      if (!timers.has(consumer)) this.#start(timers, id, consumer, timeout);
    }
  }

  #start(timers: Map<string, ClockTimer>, group: string, consumer: string, ms: number): void {
    timers.get(consumer)?.cancel();
    timers.set(
      consumer,
      this.#node.clock.after(ms, () => void this.#expire(timers, group, consumer)),
    );
  }

  async #expire(timers: Map<string, ClockTimer>, group: string, consumer: string): Promise<void> {
    if (this.#node.faults.network.isFrozen(this.#node.index)) {
      this.#start(timers, group, consumer, RETRY_DELAY_MS);
      return;
    }
    const options = { deadline: null, failurePrefix: 'Failed to remove expired consumer' };
    try {
      await this.#node.propose({ kind: 'leave-group', group, consumer, expired: true }, options);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      // It has left by itself, or the cluster has no leader for now and it is still to go.
      if (this.#timers.get(group) === timers && timers.has(consumer))
        this.#start(timers, group, consumer, RETRY_DELAY_MS);
    }
  }

  #drop(group: string): void {
    for (const timer of this.#timers.get(group)?.values() ?? []) timer.cancel();
    this.#timers.delete(group);
  }
}
