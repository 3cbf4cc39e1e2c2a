import { wire } from 'liftbridge-client/protocol';
import type { BrokerNode, PartitionReplica, PartitionState } from '../cluster/contract.js';
import { pausedPartitions, resume } from '../cluster/resume.js';
import type { Authorize } from '../grpc/authorization.js';
import { decodeRequest } from '../grpc/decode-request.js';
import type { Method, StreamCall } from '../grpc/service.js';
import { goErrorText, RpcError } from '../grpc/status.js';
import { ForwardReader } from '../log/forward-reader.js';
import { LogError } from '../log/log-error.js';
import type { PartitionLog } from '../log/partition-log.js';
import { ReverseReader } from '../log/reverse-reader.js';
import { emptyReplica } from './empty-replica.js';
import { GroupSlots, type SlotHolder } from './group-slots.js';
import { type EndOfData, LiveSubscription, type Reader } from './live-subscription.js';
import { type Positions, resolvePositions } from './subscription-positions.js';

/** The log that a subscription reads, and the release of it. */
interface Source {
  readonly log: PartitionLog;
  closedBy(): PartitionReplica['closedBy'];
  release(): void;
}

const END_OF_READONLY: EndOfData = ['RESOURCE_EXHAUSTED', 'End of readonly partition'];
const END_OF_REVERSE: EndOfData = ['UNKNOWN', 'EOF'];

/** Subscribe. */
export function subscribeMethods(node: BrokerNode, authorize: Authorize): Record<string, Method> {
  const slots = new GroupSlots();
  return {
    Subscribe: {
      kind: 'server-stream',
      check: (payload) => void decodeRequest(wire.SubscribeRequest, payload),
      async handle(payload, call) {
        const request = decodeRequest(wire.SubscribeRequest, payload);
        const holder = slotHolder(request);
        const partition = findPartition(node, request, holder);
        if (request.resume) await resumeFirst(node, request, call);
        const key = `${partition.stream}\0${partition.id}`;
        if (holder) slots.check(key, holder);
        const source = openSource(node, partition);
        try {
          await serve(request, call, source, { slots, key, holder, authorize });
        } finally {
          source.release();
        }
      },
    },
  };
}

interface Surroundings {
  readonly slots: GroupSlots;
  readonly key: string;
  readonly holder: SlotHolder | null;
  readonly authorize: Authorize;
}

async function serve(
  request: wire.SubscribeRequest,
  call: StreamCall,
  source: Source,
  { slots, key, holder, authorize }: Surroundings,
): Promise<void> {
  const positions = resolvePositions(request, source.log);
  let displaced = false;
  let live: LiveSubscription | null = null;
  const displace = () => {
    displaced = true;
    if (holder) slots.leave(key, holder);
    live?.end();
  };
  if (holder) slots.take(key, holder, displace);
  try {
    const reader = openReader(request, source.log, positions);
    authorize(call, request.stream, call.method);
    live = new LiveSubscription(call, source, reader, request.reverse ? END_OF_REVERSE : END_OF_READONLY);
    await live.run();
  } finally {
    if (holder && !displaced) slots.leave(key, holder);
  }
}

function slotHolder({ consumer }: wire.SubscribeRequest): SlotHolder | null {
  // A consumer without a group reads like any other client.
  if (!consumer || consumer.groupId === '') return null;
  if (consumer.consumerId === '')
    throw new RpcError('INVALID_ARGUMENT', 'Consumer id cannot be empty when group id is provided');
  return { group: consumer.groupId, consumer: consumer.consumerId, epoch: consumer.groupEpoch };
}

function findPartition(node: BrokerNode, request: wire.SubscribeRequest, holder: SlotHolder | null): PartitionState {
  const partition = node.stream(request.stream)?.partitions[request.partition];
  if (!partition) throw new RpcError('NOT_FOUND', 'No such partition');
  if (partition.leader === node.id) return partition;
  if (!request.readISRReplica) throw new RpcError('FAILED_PRECONDITION', 'Server not partition leader');
  if (holder) throw new RpcError('INVALID_ARGUMENT', 'Consumer groups not compatible with ReadISRReplica');
  return partition;
}

async function resumeFirst(node: BrokerNode, request: wire.SubscribeRequest, call: StreamCall): Promise<void> {
  const stream = node.stream(request.stream);
  const paused = stream ? pausedPartitions(stream, request.partition) : [];
  if (paused.length === 0) return;
  try {
    await resume(node, request.stream, paused, call.deadline);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    throw new RpcError('INTERNAL', `Failed to resume stream: ${goErrorText(error)}`);
  }
}

function openSource(node: BrokerNode, partition: PartitionState): Source {
  const replica = node.replica(partition.stream, partition.id);
  if (!replica) return emptyReplica(node, partition);
  const release = replica.addSubscriber();
  return { log: replica.log, closedBy: () => replica.closedBy, release };
}

function openReader(request: wire.SubscribeRequest, log: PartitionLog, { start, stop }: Positions): Reader {
  try {
    return request.reverse ? reverseReader(log, start, stop) : new ForwardReader(log, start, stop);
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    throw new RpcError('INTERNAL', `Failed to create stream reader: ${error.message}`);
  }
}

function reverseReader(log: PartitionLog, start: number, stop: number): Reader {
  const reverse = new ReverseReader(log, start, stop);
  const reader = {
    ended: false,
    read(maxBytes: number) {
      const delivery = reverse.read(maxBytes);
      reader.ended = delivery.ended;
      return delivery;
    },
  };
  return reader;
}
