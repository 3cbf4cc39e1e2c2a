import { wire } from 'liftbridge-client/protocol';
import type { Operation, StreamState } from '../cluster/contract.js';

type Event = wire.ActivityStreamEvent;
type Filled = Omit<Event, 'id'>;
type Kind<K extends Operation['kind']> = Extract<Operation, { readonly kind: K }>;

const { ActivityStreamOp: Op } = wire;

/** The event for an applied operation and its index; null for an operation without an event. */
export function eventOf(
  index: bigint,
  operation: Operation,
  stream: (name: string) => StreamState | undefined,
): Event | null {
  const filled = fill(operation, stream);
  return filled && { id: index, ...filled };
}

function fill(operation: Operation, stream: (name: string) => StreamState | undefined): Filled | null {
  switch (operation.kind) {
    case 'create-stream':
      return created(operation);
    case 'delete-stream':
      return { op: Op.DELETE_STREAM, deleteStreamOp: { stream: operation.name } };
    case 'pause-stream':
      return paused(operation, allPartitions(operation, stream));
    case 'resume-stream':
      return {
        op: Op.RESUME_STREAM,
        resumeStreamOp: { stream: operation.name, partitions: [...operation.partitions] },
      };
    case 'set-readonly':
      return setReadonly(operation, allPartitions(operation, stream));
    case 'join-group':
      return joined(operation);
    case 'leave-group':
      return left(operation);
    default:
      return null;
  }
}

function created({ name, partitionCount }: Kind<'create-stream'>): Filled {
  const partitions = Array.from({ length: partitionCount }, (_, id) => id);
  return { op: Op.CREATE_STREAM, createStreamOp: { stream: name, partitions } };
}

function paused({ name, resumeAll }: Kind<'pause-stream'>, partitions: number[]): Filled {
  return { op: Op.PAUSE_STREAM, pauseStreamOp: { stream: name, partitions, resumeAll } };
}

function setReadonly({ name, readonly }: Kind<'set-readonly'>, partitions: number[]): Filled {
  return { op: Op.SET_STREAM_READONLY, setStreamReadonlyOp: { stream: name, partitions, readonly } };
}

function joined({ group, consumer, streams }: Kind<'join-group'>): Filled {
  return {
    op: Op.JOIN_CONSUMER_GROUP,
    joinConsumerGroupOp: { groupId: group, consumerId: consumer, streams: [...streams] },
  };
}

function left({ group, consumer, expired }: Kind<'leave-group'>): Filled {
  return { op: Op.LEAVE_CONSUMER_GROUP, leaveConsumerGroupOp: { groupId: group, consumerId: consumer, expired } };
}

/** The named partitions, or all of the stream when none are named. */
function allPartitions(
  { name, partitions }: Kind<'pause-stream' | 'set-readonly'>,
  stream: (name: string) => StreamState | undefined,
): number[] {
  if (partitions.length > 0) return [...partitions];
  return stream(name)?.partitions.map(({ id }) => id) ?? [];
}
