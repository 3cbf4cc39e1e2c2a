import { wire } from 'liftbridge-client/protocol';
import type { BrokerNode, EventTimes, PartitionState, StreamState } from '../cluster/contract.js';
import type { Authorize } from '../grpc/authorization.js';
import type { Method } from '../grpc/service.js';
import { RpcError } from '../grpc/status.js';
import { unary } from './unary.js';

const NEVER: EventTimes = Object.freeze({ first: 0n, latest: 0n });

/** FetchMetadata and FetchPartitionMetadata. */
export function metadataMethods(node: BrokerNode, authorize: Authorize): Record<string, Method> {
  return {
    FetchMetadata: unary(wire.FetchMetadataRequest, wire.FetchMetadataResponse, async (request, call) => {
      authorize(call, '*', call.method);
      return {
        streamMetadata: streamParts(node, request.streams),
        groupMetadata: request.groups.map((id) => groupPart(node, id)),
        brokers: [...(await node.listBrokers(call.deadline))],
      };
    }),
    FetchPartitionMetadata: unary(
      wire.FetchPartitionMetadataRequest,
      wire.FetchPartitionMetadataResponse,
      ({ stream, partition }, call) => {
        authorize(call, stream, call.method);
        const state = node.stream(stream)?.partitions[partition];
        if (!state) throw new RpcError('NOT_FOUND', 'partition not found');
        if (!node.replica(stream, partition)?.leading)
          throw new RpcError('FAILED_PRECONDITION', 'The request should be sent to partition leader');
        return { metadata: partitionPart(node, state) };
      },
    ),
  };
}

function streamParts(node: BrokerNode, names: readonly string[]): wire.StreamMetadata[] {
  if (names.length === 0) return Array.from(node.streams(), (stream) => streamPart(node, stream));
  return names.map((name) => {
    const stream = node.stream(name);
    return stream ? streamPart(node, stream) : unknownStream(name);
  });
}

function streamPart(node: BrokerNode, stream: StreamState): wire.StreamMetadata {
  return {
    name: stream.name,
    subject: stream.subject,
    error: wire.StreamMetadata_Error.OK,
    partitions: new Map(stream.partitions.map((partition) => [partition.id, partitionPart(node, partition)])),
    creationTimestamp: stream.createdAt,
  };
}

function unknownStream(name: string): wire.StreamMetadata {
  const error = wire.StreamMetadata_Error.UNKNOWN_STREAM;
  return { name, subject: '', error, partitions: new Map(), creationTimestamp: 0n };
}

/** Offsets and times of messages are those of this broker: a replica may lag, and other brokers do not know them. */
function partitionPart(node: BrokerNode, partition: PartitionState): wire.PartitionMetadata {
  const replica = node.replica(partition.stream, partition.id);
  return {
    id: partition.id,
    leader: partition.leader,
    replicas: [...partition.replicas],
    isr: [...partition.isr],
    highWatermark: BigInt(replica?.log.highWatermark ?? -1),
    newestOffset: BigInt(replica?.log.newestOffset ?? -1),
    paused: partition.reportedPaused,
    readonly: partition.reportedReadonly,
    messagesReceivedTimestamps: times(replica?.receivedTimes ?? NEVER),
    pauseTimestamps: times(partition.pauseTimes),
    readonlyTimestamps: times(partition.readonlyTimes),
  };
}

function times({ first, latest }: EventTimes): wire.PartitionEventTimestamps {
  return { firstTimestamp: first, latestTimestamp: latest };
}

function groupPart(node: BrokerNode, groupId: string): wire.ConsumerGroupMetadata {
  const group = node.group(groupId);
  const { OK, UNKNOWN_GROUP } = wire.ConsumerGroupMetadata_Error;
  if (!group) return { groupId, error: UNKNOWN_GROUP, coordinator: '', epoch: 0n };
  return { groupId, error: OK, coordinator: group.coordinator, epoch: group.epoch };
}
