import type { BrokerNode, PartitionReplica, PartitionState } from '../cluster/contract.js';
import { PartitionLog } from '../log/partition-log.js';

/**
 * What a broker reads that is asked for a partition of which it has no replica: a log of its own that never gets a
 * message, and closes when the partition does. That is what the real server does, and why its client waits for ever.
 */
export function emptyReplica(
  node: BrokerNode,
  partition: PartitionState,
): { readonly log: PartitionLog; closedBy(): PartitionReplica['closedBy']; release(): void } {
  const { stream, id } = partition;
  const log = new PartitionLog({ stream, partition: id, clock: node.clock });
  log.readonly = partition.readonly;
  if (partition.paused) log.close();
  const unlisten = node.onApplied((_index, operation) => {
    if (!('name' in operation) || operation.name !== stream) return;
    if (operation.kind === 'delete-stream') log.delete();
    else if (partition.paused) log.close();
    else log.readonly = partition.readonly;
  });
  const release = () => {
    unlisten();
    log.delete();
  };
  return { log, closedBy: () => 'pause', release };
}
