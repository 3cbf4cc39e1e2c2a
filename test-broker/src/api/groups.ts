import { wire } from 'liftbridge-client/protocol';
import type { BrokerNode } from '../cluster/contract.js';
import type { Group } from '../groups/group-table.js';
import { GroupLiveness } from '../groups/liveness.js';
import type { Call, Method } from '../grpc/service.js';
import { RpcError } from '../grpc/status.js';
import { unary } from './unary.js';

const NANOSECONDS_PER_MS = 1_000_000;

/** Starts the timers of the groups that this broker coordinates. */
export function startLiveness(node: BrokerNode): GroupLiveness {
  const options = { deadline: null, failurePrefix: 'Failed to remove expired consumer' };
  return new GroupLiveness({
    id: node.id,
    clock: node.clock,
    consumerTimeout: node.settings['groups.consumer.timeout'],
    get serving() {
      return node.serving;
    },
    get frozen() {
      return node.faults.network.isFrozen(node.index);
    },
    group: (id) => node.group(id),
    groups: () => node.groups(),
    expire: (group, consumer) => node.propose({ kind: 'leave-group', group, consumer, expired: true }, options),
    onGroupChange: (listener) =>
      node.onApplied((_index, operation) => {
        switch (operation.kind) {
          case 'join-group':
          case 'leave-group':
          case 'change-coordinator':
            listener(operation.group);
        }
      }),
    onServing: (listener) => node.onServing(listener),
  });
}

/** The four calls of consumer groups. The server checks no permission on any of them. */
export function groupMethods(node: BrokerNode, liveness: GroupLiveness): Record<string, Method> {
  return {
    JoinConsumerGroup: unary(wire.JoinConsumerGroupRequest, wire.JoinConsumerGroupResponse, (request, call) =>
      join(node, request, call),
    ),
    LeaveConsumerGroup: unary(wire.LeaveConsumerGroupRequest, wire.LeaveConsumerGroupResponse, (request, call) =>
      leave(node, request, call),
    ),
    FetchConsumerGroupAssignments: unary(
      wire.FetchConsumerGroupAssignmentsRequest,
      wire.FetchConsumerGroupAssignmentsResponse,
      (request) => fetchAssignments(node, liveness, request),
    ),
    ReportConsumerGroupCoordinator: unary(
      wire.ReportConsumerGroupCoordinatorRequest,
      wire.ReportConsumerGroupCoordinatorResponse,
      (request, call) => reportCoordinator(node, request, call),
    ),
  };
}

async function join(
  node: BrokerNode,
  request: wire.JoinConsumerGroupRequest,
  call: Call,
): Promise<wire.JoinConsumerGroupResponse> {
  const { groupId: group, consumerId: consumer, streams } = request;
  checkIds(group, consumer);
  provided(streams.length > 0, 'streams');
  const failurePrefix = 'Failed to join consumer group';
  const operation = { kind: 'join-group', group, consumer, streams } as const;
  const { coordinator, epoch } = await node.joinGroup(operation, { deadline: call.deadline, failurePrefix });
  return {
    coordinator,
    epoch,
    consumerTimeout: BigInt(Math.round(node.settings['groups.consumer.timeout'] * NANOSECONDS_PER_MS)),
    coordinatorTimeout: BigInt(Math.round(node.settings['groups.coordinator.timeout'] * NANOSECONDS_PER_MS)),
  };
}

async function leave(
  node: BrokerNode,
  request: wire.LeaveConsumerGroupRequest,
  call: Call,
): Promise<wire.LeaveConsumerGroupResponse> {
  const { groupId: group, consumerId: consumer } = request;
  checkIds(group, consumer);
  // The server uses an unrelated text for this failure.
  const failurePrefix = 'Failed to set stream readonly flag';
  const { deadline } = call;
  await node.propose({ kind: 'leave-group', group, consumer, expired: false }, { deadline, failurePrefix });
  return {};
}

function fetchAssignments(
  node: BrokerNode,
  liveness: GroupLiveness,
  request: wire.FetchConsumerGroupAssignmentsRequest,
): wire.FetchConsumerGroupAssignmentsResponse {
  checkIds(request.groupId, request.consumerId);
  const group = existing(node, request.groupId);
  if (group.coordinator !== node.id)
    throw new RpcError('FAILED_PRECONDITION', 'broker is not the consumer group coordinator');
  if (group.epoch !== request.epoch)
    throw new RpcError('FAILED_PRECONDITION', 'client-provided group epoch differs from broker group epoch');
  const member = group.members.get(request.consumerId);
  if (!member) throw new RpcError('FAILED_PRECONDITION', 'consumer is not a member of the consumer group');
  if (!liveness.touch(group.id, member.id)) throw new RpcError('UNKNOWN', 'consumer not active for server (no timer)');
  const assignments = [...member.assignments].map(([stream, partitions]) => ({ stream, partitions: [...partitions] }));
  return { epoch: group.epoch, assignments };
}

async function reportCoordinator(
  node: BrokerNode,
  request: wire.ReportConsumerGroupCoordinatorRequest,
  call: Call,
): Promise<wire.ReportConsumerGroupCoordinatorResponse> {
  const { groupId: group, consumerId: consumer, coordinator, epoch } = request;
  checkIds(group, consumer);
  provided(coordinator !== '', 'coordinator');
  const failurePrefix = 'Failed to report consumer group coordinator';
  const { deadline } = call;
  await node.propose({ kind: 'report-coordinator', group, consumer, coordinator, epoch }, { deadline, failurePrefix });
  return {};
}

function existing(node: BrokerNode, id: string): Group {
  const group = node.group(id);
  if (!group) throw new RpcError('NOT_FOUND', 'consumer group does not exist');
  return group;
}

function checkIds(group: string, consumer: string): void {
  provided(group !== '', 'groupId');
  provided(consumer !== '', 'consumerId');
}

function provided(is: boolean, argument: string): void {
  if (!is) throw new RpcError('INVALID_ARGUMENT', `No ${argument} provided`);
}
