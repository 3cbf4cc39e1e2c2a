import { RpcError } from '../grpc/status.js';

/** The consumer of a subscription. */
export interface SlotHolder {
  readonly group: string;
  readonly consumer: string;
  readonly epoch: bigint;
}

interface Slot extends SlotHolder {
  readonly displace: () => void;
}

/**
 * The reader of each partition for each consumer group. A later or equal epoch replaces the holder. Like the server,
 * never checks the membership of the group.
 */
export class GroupSlots {
  readonly #slots = new Map<string, Slot>();

  /** Throws FAILED_PRECONDITION when a later epoch of the group reads the partition. */
  check(partition: string, { group, epoch }: SlotHolder): void {
    const slot = this.#slots.get(keyOf(partition, group));
    if (slot && slot.epoch > epoch)
      throw new RpcError('FAILED_PRECONDITION', 'Consumer is not currently assigned this partition');
  }

  /** Takes the slot and ends the subscription that held it. `displace` ends this one. */
  take(partition: string, holder: SlotHolder, displace: () => void): void {
    const key = keyOf(partition, holder.group);
    const previous = this.#slots.get(key);
    this.#slots.set(key, { ...holder, displace });
    previous?.displace();
  }

  /**
   * Frees the slot of a subscription that has ended, unless another holds it. Like the server, tells holders apart by
   * consumer only: a consumer that has subscribed again loses its slot to its own old subscription.
   */
  leave(partition: string, { group, consumer }: SlotHolder): void {
    const key = keyOf(partition, group);
    if (this.#slots.get(key)?.consumer === consumer) this.#slots.delete(key);
  }
}

function keyOf(partition: string, group: string): string {
  return `${partition}\0${group}`;
}
