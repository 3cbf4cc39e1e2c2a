/** A member that takes part in the distribution of a stream's partitions. */
export interface Subscriber {
  readonly id: string;
  readonly assignments: Map<string, number[]>;
  /** Number of partitions of all its streams that it holds. */
  count: number;
}

/**
 * Redistributes the partitions of a stream: each goes to the subscriber that holds the fewest partitions of all
 * streams, the first of several. `subscribers` are in the byte order of their ids.
 */
export function balance(stream: string, subscribers: readonly Subscriber[], partitions: number): void {
  for (const subscriber of subscribers) {
    subscriber.count -= subscriber.assignments.get(stream)?.length ?? 0;
    subscriber.assignments.delete(stream);
  }
  if (subscribers.length === 0) return;
  for (let partition = 0; partition < partitions; partition++) give(poorest(subscribers), stream, partition);
}

function poorest(subscribers: readonly Subscriber[]): Subscriber {
  return subscribers.reduce((best, other) => (other.count < best.count ? other : best));
}

function give(subscriber: Subscriber, stream: string, partition: number): void {
  const held = subscriber.assignments.get(stream);
  if (held) held.push(partition);
  else subscriber.assignments.set(stream, [partition]);
  subscriber.count++;
}
