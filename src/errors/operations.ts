/** The RPCs, and `Subscription` for what happens on a Subscribe call once the broker confirmed it. */
export type Operation =
  | 'CreateStream'
  | 'DeleteStream'
  | 'PauseStream'
  | 'SetStreamReadonly'
  | 'Subscribe'
  | 'Subscription'
  | 'FetchMetadata'
  | 'FetchPartitionMetadata'
  | 'Publish'
  | 'PublishAsync'
  | 'PublishToSubject'
  | 'SetCursor'
  | 'FetchCursor'
  | 'JoinConsumerGroup'
  | 'LeaveConsumerGroup'
  | 'FetchConsumerGroupAssignments'
  | 'ReportConsumerGroupCoordinator';

/** Names of the gRPC status codes, by number. */
export const STATUS_NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** Name of a gRPC status code. */
export type StatusName = (typeof STATUS_NAMES)[number];

/** Name of a status code; a number that gRPC does not define is UNKNOWN, as gRPC wants it. */
export function statusName(code: number): StatusName {
  return STATUS_NAMES[code] ?? 'UNKNOWN';
}
