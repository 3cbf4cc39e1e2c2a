import { ActivityStreamEvent, ActivityStreamOp } from '../protocol/generated/api.js';
import { jsonable } from '../protocol/json.js';

/** A change of a stream or a group; partitions in no order. @inline */
export type Activity =
  | { readonly op: 'create-stream'; readonly stream: string; readonly partitions: readonly number[] }
  | { readonly op: 'delete-stream'; readonly stream: string }
  | {
      readonly op: 'pause-stream';
      readonly stream: string;
      readonly partitions: readonly number[];
      readonly resumeAll: boolean;
    }
  | { readonly op: 'resume-stream'; readonly stream: string; readonly partitions: readonly number[] }
  | {
      readonly op: 'set-stream-readonly';
      readonly stream: string;
      readonly partitions: readonly number[];
      readonly readonly: boolean;
    }
  | {
      readonly op: 'join-consumer-group';
      readonly group: string;
      readonly consumer: string;
      readonly streams: readonly string[];
    }
  | {
      readonly op: 'leave-consumer-group';
      readonly group: string;
      readonly consumer: string;
      /** The coordinator had not heard from the consumer in time. */
      readonly expired: boolean;
    }
  /** From a newer server; `code` is its number. */
  | { readonly op: 'unknown'; readonly code: number };

/** One event of the activity stream. The server delivers each at least once: an `id` may come again. */
export type ActivityEvent = Activity & {
  /** Strictly increasing, with gaps. */
  readonly id: bigint;
  /** Its offset in the activity stream. */
  readonly offset: bigint;
  /** When it was recorded, to the millisecond. */
  readonly time: Date;
};

/** Decodes the value of a message of the activity stream. Throws on bytes that are no event. */
export function decodeActivity(message: {
  readonly value: Uint8Array | null;
  readonly offset: bigint;
  readonly time: Date;
}): ActivityEvent {
  const event = ActivityStreamEvent.decode(message.value ?? new Uint8Array(0));
  return jsonable({ id: event.id, offset: message.offset, time: message.time, ...activityOf(event) });
}

function activityOf(event: ActivityStreamEvent): Activity {
  switch (event.op) {
    case ActivityStreamOp.CREATE_STREAM:
      return { op: 'create-stream', ...partitionsOf(event.createStreamOp) };
    case ActivityStreamOp.DELETE_STREAM:
      return { op: 'delete-stream', stream: event.deleteStreamOp?.stream ?? '' };
    case ActivityStreamOp.PAUSE_STREAM:
      return {
        op: 'pause-stream',
        ...partitionsOf(event.pauseStreamOp),
        resumeAll: event.pauseStreamOp?.resumeAll ?? false,
      };
    case ActivityStreamOp.RESUME_STREAM:
      return { op: 'resume-stream', ...partitionsOf(event.resumeStreamOp) };
    case ActivityStreamOp.SET_STREAM_READONLY:
      return {
        op: 'set-stream-readonly',
        ...partitionsOf(event.setStreamReadonlyOp),
        readonly: event.setStreamReadonlyOp?.readonly ?? false,
      };
    case ActivityStreamOp.JOIN_CONSUMER_GROUP:
      return {
        op: 'join-consumer-group',
        ...memberOf(event.joinConsumerGroupOp),
        streams: event.joinConsumerGroupOp?.streams ?? [],
      };
    case ActivityStreamOp.LEAVE_CONSUMER_GROUP:
      return {
        op: 'leave-consumer-group',
        ...memberOf(event.leaveConsumerGroupOp),
        expired: event.leaveConsumerGroupOp?.expired ?? false,
      };
    default:
      return { op: 'unknown', code: event.op };
  }
}

function partitionsOf(op: { stream: string; partitions: number[] } | undefined) {
  return { stream: op?.stream ?? '', partitions: op?.partitions ?? [] };
}

function memberOf(op: { groupId: string; consumerId: string } | undefined) {
  return { group: op?.groupId ?? '', consumer: op?.consumerId ?? '' };
}
