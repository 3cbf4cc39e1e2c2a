import { RpcError } from '../grpc/status.js';

/** The consumer that a subscription is made for. */
export interface SlotHolder {
  readonly group: string;
  readonly consumer: string;
  readonly epoch: bigint;
}

interface Slot extends SlotHolder {
  readonly displace: () => void;
}

/**
 * Who reads a partition for each consumer group. A later epoch, or the same, takes the place of the holder; the
 * membership of the group is never looked at, as in the server.
 */
export class GroupSlots {
  readonly #slots = new Map<string, Slot>();

  /** Throws FAILED_PRECONDITION when a later epoch of the group reads the partition. */
  check(partition: string, { group, epoch }: SlotHolder): void {
    const slot = this.#slots.get(keyOf(partition, group));
    if (slot && slot.epoch > epoch)
      throw new RpcError('FAILED_PRECONDITION', 'Consumer is not currently assigned this partition');
  }

  /** Takes the place, and ends the subscription that has had it. `displace` ends this one. */
  take(partition: string, holder: SlotHolder, displace: () => void): void {
    const key = keyOf(partition, holder.group);
    const previous = this.#slots.get(key);
    this.#slots.set(key, { ...holder, displace });
    previous?.displace();
  }

  /**
   * A subscription has ended. It leaves the place to the present holder, but the server tells holders apart by their
   * consumer only: a consumer that has subscribed again loses its place to its own old subscription.
   */
  leave(partition: string, { group, consumer }: SlotHolder): void {
    const key = keyOf(partition, group);
    if (this.#slots.get(key)?.consumer === consumer) this.#slots.delete(key);
  }
}

function keyOf(partition: string, group: string): string {
  return `${partition}\0${group}`;
}
