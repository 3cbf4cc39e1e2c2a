import type { BrokerNode, PartitionReplica, PartitionState } from '../cluster/contract.js';
import { PartitionLog } from '../log/partition-log.js';

/**
 * The source of a subscription on a broker without a replica of the partition: a log of its own that never receives a
 * message, and closes with the partition. The real server does that, and its client waits endlessly.
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
