import {
  ConnectionError,
  InvalidArgumentError,
  PermissionDeniedError,
  ServerError,
  TimeoutError,
} from './call-errors.js';
import { AckTimeoutError, EncryptionError, IncorrectOffsetError, MessageTooLargeError } from './message-errors.js';
import type { Operation, StatusName } from './operations.js';
import type { ErrorDetails, LiftbridgeError } from './root.js';
import {
  ConsumerExistsError,
  CursorsDisabledError,
  NoSuchPartitionError,
  NoSuchStreamError,
  PartitionPausedError,
  ReadonlyPartitionError,
  StreamDeletedError,
  StreamExistsError,
} from './stream-errors.js';

/**
 * What a status tells whoever decides how to go on:
 * - `unavailable`: another broker, or this one later, may serve the call
 * - `not-leader`: the broker does not lead the partition (or coordinate the group); metadata is out of date
 * - `election`: the cluster has no metadata leader at the moment, or the broker does not reach it; nothing was carried out
 * - `stop-reached`, `end-of-readonly`, `empty`, `empty-range`: a read has nothing (more) to deliver
 * - `overtaken`: retention removed what was about to be read; the read goes on behind it
 * - `no-time-index`: the broker cannot find an offset for a time at the moment
 * - `not-found`: the broker does not know the stream, the partition or the cursors, or not yet
 * - `timeout`: nobody knows what became of the call
 * - `stale-epoch`: the group has changed; the coordinator knows its new epoch
 * - `not-member`: the broker does not know the consumer as a member of the group
 * - `already-member`: the group has a member with this id
 * - `no-group`: the broker does not know the group, or does not know it yet
 * - `fenced`: a later epoch of the group reads the partition
 * - `recovering`: the broker has not caught up with the cluster; the call was not carried out and succeeds in a moment
 * - `final`: the same call would fail the same way
 */
export type StatusMeaning =
  | 'unavailable'
  | 'not-leader'
  | 'election'
  | 'stop-reached'
  | 'end-of-readonly'
  | 'empty'
  | 'empty-range'
  | 'overtaken'
  | 'no-time-index'
  | 'not-found'
  | 'timeout'
  | 'stale-epoch'
  | 'not-member'
  | 'already-member'
  | 'no-group'
  | 'fenced'
  | 'recovering'
  | 'final';

type Build = (message: string, details: ErrorDetails & { status: StatusName; text: string }) => LiftbridgeError;

/** One row of the table. */
export interface StatusRule {
  /** RPCs that it applies to; all when absent. */
  readonly on?: readonly Operation[];
  readonly status: StatusName | '*';
  /** Needed where several causes share a code. */
  readonly text?: RegExp;
  readonly meaning: StatusMeaning;
  readonly build: Build;
  /** What the caller can do about it. */
  readonly advice: string;
}

type PlainError = new (message: string, details: ErrorDetails) => LiftbridgeError;

function plain(ErrorClass: PlainError): Build {
  return (message, details) => new ErrorClass(message, details);
}

const server: Build = (message, details) => new ServerError(message, details);
const serverLater: Build = (message, details) => new ServerError(message, { ...details, retryable: true });
const unavailable: Build = (message, details) => new ConnectionError(message, { ...details, reason: 'unavailable' });
const noLeader: Build = (message, details) => new ConnectionError(message, { ...details, reason: 'no-leader' });

const READS: readonly Operation[] = ['Subscribe', 'Subscription'];
const LEADER_CALLS: readonly Operation[] = ['FetchPartitionMetadata', 'SetCursor', 'FetchCursor', 'Subscribe'];
const GROUP_POLLS: readonly Operation[] = ['FetchConsumerGroupAssignments', 'ReportConsumerGroupCoordinator'];
const GROUP_CALLS: readonly Operation[] = ['JoinConsumerGroup', 'LeaveConsumerGroup', ...GROUP_POLLS];

/** What a broker says that has lost its connection to NATS. */
export const WITHOUT_NATS = /nats: (?:outbound buffer limit exceeded|connection closed)/;

/** The one table from (operation, status, text) to a meaning and an error class. The first rule that fits counts. */
export const STATUS_RULES: readonly StatusRule[] = [
  // Whatever the operation
  {
    status: 'UNKNOWN',
    text: /not authorized|Failed to retrieve client ID/,
    meaning: 'final',
    build: plain(PermissionDeniedError),
    advice: "Grant it in the server's authorization policy, or use another client certificate.",
  },
  {
    status: 'INTERNAL',
    text: /not authorized/,
    meaning: 'final',
    build: plain(PermissionDeniedError),
    advice: "Grant it in the server's authorization policy, or use another client certificate.",
  },
  {
    status: 'PERMISSION_DENIED',
    meaning: 'final',
    build: plain(PermissionDeniedError),
    advice: 'Grant it to this client.',
  },
  {
    status: 'UNAUTHENTICATED',
    meaning: 'final',
    build: plain(PermissionDeniedError),
    advice: 'Check the credentials in the metadata or tls option.',
  },
  {
    status: 'UNAVAILABLE',
    meaning: 'unavailable',
    build: unavailable,
    advice: 'Check that the broker runs and is reachable, then try again.',
  },
  {
    // The caller's own cancellation is never looked up here: it rejects with the reason of its signal.
    status: 'CANCELLED',
    meaning: 'unavailable',
    build: unavailable,
    advice: 'The broker or a proxy cancelled the call without being asked: try again.',
  },
  {
    status: 'RESOURCE_EXHAUSTED',
    text: /larger than (the )?max/,
    meaning: 'final',
    build: plain(MessageTooLargeError),
    advice: 'Make it smaller: gRPC takes 4 MiB, NATS and replication 1 MiB unless configured otherwise.',
  },
  {
    // A group is created with FAILED_PRECONDITION in the place of INTERNAL.
    status: '*',
    text: /no known metadata leader|no responders available|node is not the leader/,
    meaning: 'election',
    build: serverLater,
    advice: 'The cluster is electing a metadata leader: try again in a moment.',
  },
  {
    status: '*',
    text: /leadership lost|raft operation timed out/,
    meaning: 'unavailable',
    build: serverLater,
    advice: 'The metadata leader has changed, and the call may have been carried out: try again in a moment.',
  },
  {
    status: 'INTERNAL',
    text: WITHOUT_NATS,
    meaning: 'election',
    build: serverLater,
    advice: 'The broker has lost its connection to NATS: try again when NATS is back.',
  },
  {
    on: ['Publish', 'PublishToSubject'],
    status: 'UNKNOWN',
    text: WITHOUT_NATS,
    meaning: 'election',
    build: serverLater,
    advice: 'The broker has lost its connection to NATS, so nothing was stored: try again when NATS is back.',
  },

  // Streams
  {
    on: ['CreateStream'],
    status: 'ALREADY_EXISTS',
    meaning: 'final',
    build: plain(StreamExistsError),
    advice: 'Use it as it is, or choose another name.',
  },
  {
    on: ['CreateStream'],
    status: 'FAILED_PRECONDITION',
    text: /encryption/,
    meaning: 'final',
    build: plain(EncryptionError),
    advice: 'Set LIFTBRIDGE_ENCRYPTION_KEY on the server, or create the stream without encryption.',
  },
  {
    on: ['JoinConsumerGroup'],
    status: 'FAILED_PRECONDITION',
    text: /stream does not exist/,
    meaning: 'final',
    build: plain(NoSuchStreamError),
    advice: 'Create the stream first.',
  },
  {
    on: ['DeleteStream'],
    status: 'NOT_FOUND',
    meaning: 'final',
    build: plain(NoSuchStreamError),
    advice: 'Check the name.',
  },

  // Partitions
  {
    on: ['PauseStream', 'SetStreamReadonly', 'FetchPartitionMetadata', 'Subscribe', 'Publish', 'PublishAsync'],
    status: 'NOT_FOUND',
    meaning: 'not-found',
    build: plain(NoSuchPartitionError),
    advice: 'Check the name of the stream and the partition.',
  },
  {
    on: ['Publish', 'PublishAsync'],
    status: 'FAILED_PRECONDITION',
    meaning: 'final',
    build: plain(ReadonlyPartitionError),
    advice: 'Make the partition writable with setStreamReadonly first.',
  },

  // Cursors
  {
    on: ['SetCursor', 'FetchCursor'],
    status: 'INTERNAL',
    text: /Cursors stream does not exist/,
    meaning: 'not-found',
    build: plain(CursorsDisabledError),
    advice: 'Set cursors.stream.partitions above 0 on the server, or cursorsPartitions on a test broker.',
  },
  {
    on: ['SetCursor', 'FetchCursor'],
    status: 'INTERNAL',
    text: /readonly partition/,
    meaning: 'final',
    build: plain(ReadonlyPartitionError),
    advice: 'Make the __cursors stream writable with setStreamReadonly first.',
  },
  {
    on: ['SetCursor', 'FetchCursor'],
    status: 'INTERNAL',
    text: /deadline exceeded|timed? ?out/i,
    meaning: 'unavailable',
    build: serverLater,
    advice: 'The __cursors stream may be resuming from a pause: try again.',
  },

  // Publishing
  {
    on: ['Publish', 'PublishAsync', 'PublishToSubject'],
    status: 'UNKNOWN',
    text: /incorrect expected offset/,
    meaning: 'final',
    build: plain(IncorrectOffsetError),
    advice: 'Read the newest offset and publish with the one after it.',
  },
  {
    on: ['Publish', 'PublishAsync', 'PublishToSubject'],
    status: '*',
    text: /maximum payload exceeded|exceeds max replication size/,
    meaning: 'final',
    build: plain(MessageTooLargeError),
    advice: "Make it smaller, or raise NATS' max_payload and the server's clustering.replication.max.bytes.",
  },
  {
    on: ['Publish', 'PublishAsync', 'PublishToSubject'],
    status: 'INTERNAL',
    text: /encryption failed/,
    meaning: 'final',
    build: plain(EncryptionError),
    advice: 'Check the encryption key of the server.',
  },
  {
    on: ['Publish', 'PublishToSubject'],
    status: 'DEADLINE_EXCEEDED',
    meaning: 'timeout',
    build: plain(AckTimeoutError),
    advice: 'No stream may listen there, or its leader is away. The message may have been stored.',
  },

  // Reading
  {
    on: READS,
    status: 'RESOURCE_EXHAUSTED',
    text: /Stop offset reached/,
    meaning: 'stop-reached',
    build: plain(ReadonlyPartitionError),
    advice: 'The read is complete.',
  },
  {
    on: READS,
    status: 'RESOURCE_EXHAUSTED',
    text: /Stream is empty/,
    meaning: 'empty',
    build: plain(ReadonlyPartitionError),
    advice: 'There is nothing to read.',
  },
  {
    on: READS,
    status: 'RESOURCE_EXHAUSTED',
    text: /End of readonly partition/,
    meaning: 'end-of-readonly',
    build: plain(ReadonlyPartitionError),
    advice: 'Everything has been read and nothing will follow until the partition is made writable again.',
  },
  {
    on: READS,
    status: 'UNKNOWN',
    text: /^EOF$/,
    meaning: 'stop-reached',
    build: server,
    advice: 'The reverse read has reached the oldest message.',
  },
  {
    on: ['Subscribe'],
    status: 'INVALID_ARGUMENT',
    text: /Stop offset is before start offset/,
    meaning: 'empty-range',
    build: plain(InvalidArgumentError),
    advice: 'Choose a stopAt at or after startAt.',
  },
  {
    on: ['Subscribe'],
    status: 'INTERNAL',
    text: /timestamp is before the beginning of the log/,
    meaning: 'empty-range',
    build: plain(InvalidArgumentError),
    advice: 'There is no message at or before the stop time.',
  },
  {
    on: ['Subscribe'],
    status: 'INTERNAL',
    text: /failed to find log segment for timestamp: EOF/,
    meaning: 'no-time-index',
    build: serverLater,
    advice: 'The partition is empty, or its newest segment is.',
  },
  {
    on: ['Subscribe'],
    status: 'INTERNAL',
    text: /segment not found/,
    meaning: 'empty',
    build: server,
    advice: 'There is nothing to read in reverse.',
  },
  {
    on: ['Subscribe'],
    status: 'INTERNAL',
    text: /segment has been closed/,
    meaning: 'final',
    build: plain(PartitionPausedError),
    advice: 'Publish to it, or subscribe with resume: true.',
  },
  {
    on: ['Subscription'],
    status: 'UNKNOWN',
    text: /segment has been closed/,
    meaning: 'overtaken',
    build: serverLater,
    advice: 'Read faster, or retain more.',
  },
  {
    on: ['Subscribe'],
    status: 'FAILED_PRECONDITION',
    text: /not currently assigned/,
    meaning: 'fenced',
    build: server,
    advice: 'Another member of the group holds the partition.',
  },
  {
    on: ['Subscription'],
    status: 'UNKNOWN',
    text: /failed to reinitialize reader|segment not found/,
    meaning: 'not-leader',
    build: serverLater,
    advice: 'The log of the replica was cut back to that of its leader: subscribe again.',
  },
  {
    on: ['Subscription'],
    status: 'NOT_FOUND',
    meaning: 'not-found',
    build: plain(StreamDeletedError),
    advice: 'Create it again, or stop reading it.',
  },
  {
    on: ['Subscription'],
    status: 'FAILED_PRECONDITION',
    meaning: 'final',
    build: plain(PartitionPausedError),
    advice: 'Publish to it, or subscribe with resume: true.',
  },
  {
    on: ['Subscription'],
    status: 'INTERNAL',
    text: /commit log was closed/,
    meaning: 'unavailable',
    build: unavailable,
    advice: 'The broker is shutting down: another one will take over.',
  },

  // Leaders and coordinators
  {
    on: LEADER_CALLS,
    status: 'FAILED_PRECONDITION',
    meaning: 'not-leader',
    build: noLeader,
    advice: 'The partition may be paused, or its leadership is moving: try again in a moment.',
  },
  {
    on: GROUP_POLLS,
    status: 'FAILED_PRECONDITION',
    text: /not the consumer group coordinator/,
    meaning: 'not-leader',
    build: serverLater,
    advice: 'The coordinator of the group has changed: refresh metadata.',
  },

  // Consumer groups
  {
    on: ['JoinConsumerGroup'],
    status: 'FAILED_PRECONDITION',
    text: /already a member/,
    meaning: 'already-member',
    build: plain(ConsumerExistsError),
    advice: 'Use another consumerId, or wait until the earlier member has left or expired.',
  },
  {
    on: ['JoinConsumerGroup'],
    status: 'FAILED_PRECONDITION',
    text: /group already exists/,
    meaning: 'recovering',
    build: serverLater,
    advice: 'Another member created the group at the same time: join again.',
  },
  {
    on: GROUP_CALLS,
    status: 'FAILED_PRECONDITION',
    text: /epoch differs|generation mismatch/,
    meaning: 'stale-epoch',
    build: serverLater,
    advice: 'The group has changed: ask its coordinator for the epoch.',
  },
  {
    on: GROUP_CALLS,
    status: 'FAILED_PRECONDITION',
    text: /not a member/,
    meaning: 'not-member',
    build: server,
    advice: 'The member has expired, or the broker has not applied its join yet.',
  },
  {
    on: GROUP_CALLS,
    status: '*',
    text: /consumer group does not exist|No such consumer group/,
    meaning: 'no-group',
    build: serverLater,
    advice: 'The last member has just left, or the broker is recovering: try again in a moment.',
  },
  {
    on: GROUP_POLLS,
    status: 'UNKNOWN',
    text: /no timer/,
    meaning: 'recovering',
    build: serverLater,
    advice: 'The coordinator is recovering: try again in a moment.',
  },

  // What is left
  {
    status: 'INVALID_ARGUMENT',
    meaning: 'final',
    build: plain(InvalidArgumentError),
    advice: 'Correct the arguments.',
  },
  {
    status: 'DEADLINE_EXCEEDED',
    meaning: 'timeout',
    build: plain(TimeoutError),
    advice: 'It may have been carried out. Raise the timeout or check the broker.',
  },
  { status: '*', meaning: 'final', build: server, advice: 'See the log of the broker.' },
];
