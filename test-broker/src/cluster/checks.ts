import type { Group } from '../groups/group-table.js';
import { RpcError, type StatusName } from '../grpc/status.js';
import type { Operation, StreamState } from './contract.js';

/** The metadata that the checks of an operation use. */
export interface MetadataView {
  stream(name: string): StreamState | undefined;
  group(id: string): Group | undefined;
  /** Number of brokers in the configuration of the cluster. */
  readonly clusterSize: number;
}

type Kind<K extends Operation['kind']> = Extract<Operation, { readonly kind: K }>;
type Check<K extends Operation['kind']> = (operation: Kind<K>, view: MetadataView) => void;

/**
 * Refuses an operation that contradicts the current metadata, with the error texts of the server. The metadata leader
 * calls it before it replicates. The called broker has checked the arguments that need no metadata. Throws RpcError.
 */
export function checkOperation(operation: Operation, view: MetadataView): void {
  const check = CHECKS[operation.kind] as Check<Operation['kind']>;
  check(operation, view);
}

/**
 * The number of replicas for a replication factor; -1 means every broker. Throws RpcError for a factor that the cluster
 * cannot provide.
 */
export function replicaCount(requested: number, clusterSize: number): number {
  if (requested === -1) return clusterSize;
  check(requested > 0, 'INVALID_ARGUMENT', `Invalid replicationFactor ${requested}`);
  check(
    requested <= clusterSize,
    'INVALID_ARGUMENT',
    `Invalid replicationFactor ${requested}, cluster size ${clusterSize}`,
  );
  return requested;
}

function checkCreate(operation: Kind<'create-stream'>, view: MetadataView): void {
  replicaCount(operation.replicationFactor, view.clusterSize);
  check(view.stream(operation.name) === undefined, 'ALREADY_EXISTS', 'stream already exists');
}

function checkPartitions(operation: Kind<'pause-stream' | 'set-readonly' | 'resume-stream'>, view: MetadataView): void {
  const stream = view.stream(operation.name);
  if (!stream) throw new RpcError('NOT_FOUND', 'stream does not exist');
  for (const id of operation.partitions)
    check(stream.partitions[id] !== undefined, 'NOT_FOUND', 'partition does not exist');
}

function checkPartition(operation: Kind<'change-leader' | 'shrink-isr' | 'expand-isr'>, view: MetadataView): void {
  const stream = view.stream(operation.stream);
  if (!stream) throw new RpcError('NOT_FOUND', 'stream does not exist');
  check(stream.partitions[operation.partition] !== undefined, 'NOT_FOUND', 'partition does not exist');
}

function checkJoin(operation: Kind<'join-group'>, view: MetadataView): void {
  check(
    !view.group(operation.group)?.members.has(operation.consumer),
    'FAILED_PRECONDITION',
    'consumer is already a member of the consumer group',
  );
  for (const stream of operation.streams)
    check(view.stream(stream) !== undefined, 'FAILED_PRECONDITION', 'stream does not exist');
}

function checkLeave(operation: Kind<'leave-group'>, view: MetadataView): void {
  const group = view.group(operation.group);
  if (!group) throw new RpcError('NOT_FOUND', 'consumer group does not exist');
  check(group.members.has(operation.consumer), 'FAILED_PRECONDITION', 'consumer is not a member of the consumer group');
}

function checkReport(operation: Kind<'report-coordinator'>, view: MetadataView): void {
  const { group: id, consumer, coordinator, epoch } = operation;
  const group = view.group(id);
  if (!group) throw new RpcError('FAILED_PRECONDITION', `No such consumer group ${id}`);
  check(
    group.coordinator === coordinator && group.epoch === epoch,
    'FAILED_PRECONDITION',
    'Coordinator generation mismatch, ' +
      `current coordinator: ${group.coordinator} epoch: ${group.epoch}, got coordinator: ${coordinator} epoch: ${epoch}`,
  );
  check(
    group.members.has(consumer),
    'FAILED_PRECONDITION',
    `Consumer ${consumer} is not a member of consumer group ${id}`,
  );
}

function check(holds: boolean, status: StatusName, message: string): void {
  if (!holds) throw new RpcError(status, message);
}

function checkStreamExists({ name }: Kind<'delete-stream'>, view: MetadataView): void {
  check(view.stream(name) !== undefined, 'NOT_FOUND', 'stream does not exist');
}

function checkGroupExists({ group }: Kind<'change-coordinator'>, view: MetadataView): void {
  check(view.group(group) !== undefined, 'NOT_FOUND', 'consumer group does not exist');
}

const CHECKS: { readonly [K in Operation['kind']]: Check<K> } = {
  'create-stream': checkCreate,
  'delete-stream': checkStreamExists,
  'pause-stream': checkPartitions,
  'resume-stream': checkPartitions,
  'set-readonly': checkPartitions,
  'change-leader': checkPartition,
  'shrink-isr': checkPartition,
  'expand-isr': checkPartition,
  'join-group': checkJoin,
  'leave-group': checkLeave,
  'change-coordinator': checkGroupExists,
  'report-coordinator': checkReport,
  'activity-published': () => undefined,
};
