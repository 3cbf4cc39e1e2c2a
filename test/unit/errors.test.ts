import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  AckTimeoutError,
  AmbiguousSubjectError,
  ClosedError,
  ConnectionError,
  ConsumerExistsError,
  CursorsDisabledError,
  DeserializationError,
  EncryptionError,
  EnvelopeError,
  type ErrorDetails,
  errorFromAckError,
  errorFromAsyncError,
  errorFromStatus,
  HandlerError,
  IncorrectOffsetError,
  InvalidArgumentError,
  LiftbridgeError,
  MessageTooLargeError,
  NoOffsetError,
  NoSuchPartitionError,
  NoSuchStreamError,
  type Operation,
  PartitionPausedError,
  PermissionDeniedError,
  ReadonlyPartitionError,
  ServerError,
  STATUS_NAMES,
  type StatusMeaning,
  type StatusName,
  StreamDeletedError,
  StreamExistsError,
  statusMeaning,
  TimeoutError,
  UnexpectedError,
} from '../../src/errors.js';

type Make = (message: string, details: ErrorDetails) => LiftbridgeError;

const CLASSES: readonly (readonly [string, string, Make])[] = [
  ['AckTimeoutError', 'ACK_TIMEOUT', (m, d) => new AckTimeoutError(m, d)],
  ['AmbiguousSubjectError', 'AMBIGUOUS_SUBJECT', (m, d) => new AmbiguousSubjectError(m, d)],
  ['ClosedError', 'CLOSED', (m, d) => new ClosedError(m, d)],
  ['ConnectionError', 'CONNECTION', (m, d) => new ConnectionError(m, { ...d, reason: 'refused' })],
  ['ConsumerExistsError', 'CONSUMER_EXISTS', (m, d) => new ConsumerExistsError(m, d)],
  ['CursorsDisabledError', 'CURSORS_DISABLED', (m, d) => new CursorsDisabledError(m, d)],
  ['DeserializationError', 'DESERIALIZATION', (m, d) => new DeserializationError(m, d)],
  ['EncryptionError', 'ENCRYPTION', (m, d) => new EncryptionError(m, d)],
  ['EnvelopeError', 'ENVELOPE', (m, d) => new EnvelopeError(m, { ...d, reason: 'checksum' })],
  ['HandlerError', 'HANDLER_FAILED', (m, d) => new HandlerError(m, d)],
  ['IncorrectOffsetError', 'INCORRECT_OFFSET', (m, d) => new IncorrectOffsetError(m, d)],
  ['InvalidArgumentError', 'INVALID_ARGUMENT', (m, d) => new InvalidArgumentError(m, d)],
  ['MessageTooLargeError', 'MESSAGE_TOO_LARGE', (m, d) => new MessageTooLargeError(m, d)],
  ['NoOffsetError', 'NO_OFFSET', (m, d) => new NoOffsetError(m, d)],
  ['NoSuchPartitionError', 'NO_SUCH_PARTITION', (m, d) => new NoSuchPartitionError(m, d)],
  ['NoSuchStreamError', 'NO_SUCH_STREAM', (m, d) => new NoSuchStreamError(m, d)],
  ['PartitionPausedError', 'PARTITION_PAUSED', (m, d) => new PartitionPausedError(m, d)],
  ['PermissionDeniedError', 'PERMISSION_DENIED', (m, d) => new PermissionDeniedError(m, d)],
  ['ReadonlyPartitionError', 'READONLY_PARTITION', (m, d) => new ReadonlyPartitionError(m, d)],
  ['ServerError', 'SERVER', (m, d) => new ServerError(m, { ...d, status: 'INTERNAL', text: 'oops' })],
  ['StreamDeletedError', 'STREAM_DELETED', (m, d) => new StreamDeletedError(m, d)],
  ['StreamExistsError', 'STREAM_EXISTS', (m, d) => new StreamExistsError(m, d)],
  ['TimeoutError', 'TIMEOUT', (m, d) => new TimeoutError(m, d)],
  ['UnexpectedError', 'UNEXPECTED', (m, d) => new UnexpectedError(m, d)],
];

describe('LiftbridgeError', () => {
  it.each(CLASSES)('%s has its own name and the code %s, the brand, its cause and its context', (name, code, make) => {
    const cause = new Error('beneath');
    const error = make('it failed', { cause, stream: 's', partition: 2, broker: 'b', operation: 'Publish' });
    expect(error.constructor.name).toBe(name);
    expect(error).toMatchObject({ name, code, cause, stream: 's', partition: 2, broker: 'b', operation: 'Publish' });
    expect(error.message).toBe('it failed');
    expect(error).toBeInstanceOf(LiftbridgeError);
    expect(LiftbridgeError.is(error)).toBe(true);
    expect(typeof error.retryable).toBe('boolean');
    expect(String(error)).toBe(`${name}: it failed`);
  });

  it('gives every class a code of its own', () => {
    expect(new Set(CLASSES.map(([, code]) => code)).size).toBe(CLASSES.length);
  });

  it('leaves context out that is not known', () => {
    expect(Object.keys(new ClosedError('closed'))).not.toContain('stream');
  });

  it('is() with a code narrows to the class with that code', () => {
    const error: unknown = new ConnectionError('gone', { reason: 'lost' });
    expect(LiftbridgeError.is(error, 'CONNECTION') && error.reason).toBe('lost');
    if (LiftbridgeError.is(error, 'SERVER')) expectTypeOf(error).toEqualTypeOf<ServerError>();
    if (LiftbridgeError.is(error, 'ACK_TIMEOUT')) expectTypeOf(error.otherAcks).toEqualTypeOf<readonly object[]>();
    if (LiftbridgeError.is(error)) expectTypeOf(error).toEqualTypeOf<LiftbridgeError>();
  });

  it('is() knows errors of another copy of the package, and tells codes apart', () => {
    const foreign = { code: 'CLOSED', [Symbol.for('liftbridge-client.error')]: true };
    expect(LiftbridgeError.is(foreign)).toBe(true);
    expect(LiftbridgeError.is(foreign, 'CLOSED')).toBe(true);
    expect(LiftbridgeError.is(foreign, 'TIMEOUT')).toBe(false);
    expect([null, undefined, 'x', new Error('x'), {}].some((value) => LiftbridgeError.is(value))).toBe(false);
  });

  it('from() passes its own errors through and wraps everything else', () => {
    const own = new ClosedError('closed');
    expect(LiftbridgeError.from(own)).toBe(own);
    const cause = new Error('strange');
    const wrapped = LiftbridgeError.from(cause, { operation: 'CreateStream', stream: 's' });
    expect(wrapped).toMatchObject({ code: 'UNEXPECTED', cause, stream: 's', message: 'CreateStream failed: strange' });
    expect(LiftbridgeError.from('text').message).toBe('text');
  });

  it('says that TLS failures need a change and that other connection failures do not', () => {
    expect(new ConnectionError('x', { reason: 'lost' }).retryable).toBe(true);
    expect(new ConnectionError('x', { reason: 'tls-expired' }).retryable).toBe(false);
    expect(new ConnectionError('x', { reason: 'lost' }).outcome).toBe('unknown');
    expect(new ConnectionError('x', { reason: 'refused', outcome: 'not-sent' }).outcome).toBe('not-sent');
  });
});

type StatusCase = readonly [Operation, StatusName, string, string, StatusMeaning];

const STATUSES: readonly StatusCase[] = [
  ['CreateStream', 'ALREADY_EXISTS', 'stream already exists', 'STREAM_EXISTS', 'final'],
  ['CreateStream', 'INVALID_ARGUMENT', 'Subject is invalid', 'INVALID_ARGUMENT', 'final'],
  ['CreateStream', 'INTERNAL', 'no known metadata leader', 'SERVER', 'election'],
  ['CreateStream', 'INTERNAL', 'nats: no responders available for request', 'SERVER', 'election'],
  ['CreateStream', 'INTERNAL', 'nats: outbound buffer limit exceeded', 'SERVER', 'election'],
  ['JoinConsumerGroup', 'INTERNAL', 'Failed to join consumer group: node is not the leader', 'SERVER', 'election'],
  [
    'PublishToSubject',
    'UNKNOWN',
    'failed to publish to NATS: nats: outbound buffer limit exceeded',
    'SERVER',
    'election',
  ],
  ['Subscription', 'UNKNOWN', 'failed to reinitialize reader: segment not found', 'SERVER', 'not-leader'],
  ['Subscription', 'UNKNOWN', 'failed to read message headers: segment not found', 'SERVER', 'not-leader'],
  ['CreateStream', 'INTERNAL', 'something else', 'SERVER', 'final'],
  [
    'CreateStream',
    'FAILED_PRECONDITION',
    "Failed on preconditions for stream's encryption handler: kwp",
    'ENCRYPTION',
    'final',
  ],
  ['DeleteStream', 'NOT_FOUND', 'stream does not exist', 'NO_SUCH_STREAM', 'final'],
  ['PauseStream', 'NOT_FOUND', 'partition does not exist', 'NO_SUCH_PARTITION', 'not-found'],
  ['SetStreamReadonly', 'NOT_FOUND', 'stream not found', 'NO_SUCH_PARTITION', 'not-found'],
  ['FetchPartitionMetadata', 'NOT_FOUND', 'partition not found', 'NO_SUCH_PARTITION', 'not-found'],
  ['FetchPartitionMetadata', 'FAILED_PRECONDITION', 'The request should be sent', 'CONNECTION', 'not-leader'],
  ['FetchMetadata', 'UNAVAILABLE', 'connection refused', 'CONNECTION', 'unavailable'],
  ['FetchMetadata', 'DEADLINE_EXCEEDED', 'context deadline exceeded', 'TIMEOUT', 'timeout'],
  ['SetCursor', 'CANCELLED', 'stream reset by the server: CANCEL', 'CONNECTION', 'unavailable'],
  [
    'FetchMetadata',
    'UNKNOWN',
    'The client is not authorized to call FetchMetadata on resource *',
    'PERMISSION_DENIED',
    'final',
  ],
  ['FetchMetadata', 'UNKNOWN', 'api: Failed to retrieve client ID', 'PERMISSION_DENIED', 'final'],
  ['FetchMetadata', 'UNAUTHENTICATED', 'no token', 'PERMISSION_DENIED', 'final'],
  ['SetCursor', 'INTERNAL', 'The client is not authorized to call Publish on x', 'PERMISSION_DENIED', 'final'],
  ['SetCursor', 'INTERNAL', 'Cursors stream does not exist', 'CURSORS_DISABLED', 'not-found'],
  ['SetCursor', 'INTERNAL', 'rpc error: desc = readonly partition: 1', 'READONLY_PARTITION', 'final'],
  ['SetCursor', 'INTERNAL', 'context deadline exceeded', 'SERVER', 'unavailable'],
  ['FetchCursor', 'FAILED_PRECONDITION', 'Server not leader for cursors partition 1', 'CONNECTION', 'not-leader'],
  ['PublishToSubject', 'DEADLINE_EXCEEDED', 'context deadline exceeded', 'ACK_TIMEOUT', 'timeout'],
  ['PublishToSubject', 'UNKNOWN', 'nats: maximum payload exceeded', 'MESSAGE_TOO_LARGE', 'final'],
  ['PublishToSubject', 'UNKNOWN', 'failed to publish to NATS: nats: invalid subject', 'SERVER', 'final'],
  ['Publish', 'UNKNOWN', 'incorrect expected offset', 'INCORRECT_OFFSET', 'final'],
  ['Publish', 'INVALID_ARGUMENT', 'message exceeds max replication size', 'MESSAGE_TOO_LARGE', 'final'],
  ['Publish', 'INTERNAL', 'encryption failed on partition', 'ENCRYPTION', 'final'],
  ['PublishAsync', 'FAILED_PRECONDITION', 'readonly partition: 0', 'READONLY_PARTITION', 'final'],
  [
    'PublishAsync',
    'RESOURCE_EXHAUSTED',
    'grpc: received message larger than max (9 vs. 4)',
    'MESSAGE_TOO_LARGE',
    'final',
  ],
  ['Subscribe', 'NOT_FOUND', 'No such partition', 'NO_SUCH_PARTITION', 'not-found'],
  ['Subscribe', 'FAILED_PRECONDITION', 'Server not partition leader', 'CONNECTION', 'not-leader'],
  ['Subscribe', 'FAILED_PRECONDITION', 'Consumer is not currently assigned this partition', 'SERVER', 'fenced'],
  ['Subscribe', 'RESOURCE_EXHAUSTED', 'Stream is empty', 'READONLY_PARTITION', 'empty'],
  ['Subscribe', 'INVALID_ARGUMENT', 'Stop offset is before start offset: 1 < 2', 'INVALID_ARGUMENT', 'empty-range'],
  ['Subscription', 'RESOURCE_EXHAUSTED', 'Stop offset reached', 'READONLY_PARTITION', 'stop-reached'],
  ['Subscription', 'RESOURCE_EXHAUSTED', 'End of readonly partition', 'READONLY_PARTITION', 'end-of-readonly'],
  ['Subscription', 'RESOURCE_EXHAUSTED', 'Received message larger than max', 'MESSAGE_TOO_LARGE', 'final'],
  ['Subscription', 'NOT_FOUND', 'commit log was deleted', 'STREAM_DELETED', 'not-found'],
  ['Subscription', 'FAILED_PRECONDITION', 'commit log was closed', 'PARTITION_PAUSED', 'final'],
  ['Subscription', 'INTERNAL', 'commit log was closed', 'CONNECTION', 'unavailable'],
  ['Subscription', 'UNKNOWN', 'EOF', 'SERVER', 'stop-reached'],
  ['Subscription', 'UNKNOWN', 'failed to read message headers', 'SERVER', 'final'],
  ['JoinConsumerGroup', 'FAILED_PRECONDITION', 'consumer is already a member', 'CONSUMER_EXISTS', 'already-member'],
  ['JoinConsumerGroup', 'FAILED_PRECONDITION', 'consumer group already exists', 'SERVER', 'recovering'],
  ['JoinConsumerGroup', 'NOT_FOUND', 'consumer group does not exist', 'SERVER', 'no-group'],
  ['JoinConsumerGroup', 'FAILED_PRECONDITION', 'leadership lost while committing log', 'SERVER', 'unavailable'],
  ['JoinConsumerGroup', 'FAILED_PRECONDITION', 'stream does not exist', 'NO_SUCH_STREAM', 'final'],
  [
    'FetchConsumerGroupAssignments',
    'FAILED_PRECONDITION',
    'broker is not the consumer group coordinator',
    'SERVER',
    'not-leader',
  ],
  ['LeaveConsumerGroup', 'NOT_FOUND', 'consumer group does not exist', 'SERVER', 'no-group'],
  ['FetchConsumerGroupAssignments', 'UNKNOWN', 'consumer not active for server (no timer)', 'SERVER', 'recovering'],
];

describe('errorFromStatus', () => {
  it.each(STATUSES)('%s ending with %s "%s" is %s, meaning %s', (operation, name, details, code, meaning) => {
    const status = { code: STATUS_NAMES.indexOf(name), details };
    const error = errorFromStatus(operation, status, { stream: 'orders', partition: 1, broker: 'b1' });
    expect(error.code).toBe(code);
    expect(statusMeaning(operation, status)).toBe(meaning);
    expect(error).toMatchObject({ stream: 'orders', partition: 1, broker: 'b1', operation, cause: status });
    expect(error.message).toMatch(
      `${/^Publish(Async)?$/.test(operation) ? 'Publish to' : `${operation} of`} stream "orders", partition 1 at broker b1 failed: ${details} (${name}). `,
    );
  });

  it('keeps the status and the text of an error without a class', () => {
    const error = errorFromStatus('FetchMetadata', { code: 15, details: 'bits rotted' });
    expect(error).toBeInstanceOf(ServerError);
    expect(error).toMatchObject({ status: 'DATA_LOSS', text: 'bits rotted', retryable: false });
    expect(errorFromStatus('FetchMetadata', { code: 99, details: '' })).toMatchObject({ status: 'UNKNOWN' });
  });

  it('says that an election and an unavailable broker are worth another try', () => {
    const election = { code: 13, details: 'no known metadata leader' };
    expect(errorFromStatus('CreateStream', election).retryable).toBe(true);
    expect(errorFromStatus('CreateStream', { code: 14, details: '' }).retryable).toBe(true);
    expect(errorFromStatus('CreateStream', { code: 6, details: '' }).retryable).toBe(false);
  });
});

describe('errorFromAsyncError', () => {
  it.each([
    [0, 'unknown error', 'SERVER'],
    [1, 'stream with concurrency control must have AckPolicy set', 'INVALID_ARGUMENT'],
    [1, 'message exceeds max replication size', 'MESSAGE_TOO_LARGE'],
    [2, 'no such stream: x', 'NO_SUCH_STREAM'],
    [2, 'no such partition: 3', 'NO_SUCH_PARTITION'],
    [3, 'failed to resume stream: x', 'SERVER'],
    [3, 'failed to publish to NATS: nats: maximum payload exceeded', 'MESSAGE_TOO_LARGE'],
    [4, 'readonly partition: 0', 'READONLY_PARTITION'],
    [5, 'incorrect expected offset', 'INCORRECT_OFFSET'],
    [6, 'encryption failed on partition', 'ENCRYPTION'],
    [7, 'The client is not authorized', 'PERMISSION_DENIED'],
    [42, 'from a newer server', 'SERVER'],
  ] as const)('code %i "%s" is %s, with the words of the server', (code, message, expected) => {
    const error = errorFromAsyncError({ code, message }, { stream: 's', partition: 0 });
    expect(error.code).toBe(expected);
    expect(error.message).toContain(`Publish to stream "s", partition 0 failed: ${message}`);
    expect(error).toMatchObject({ stream: 's', partition: 0, operation: 'PublishAsync' });
  });
});

describe('errorFromAckError', () => {
  it('is null for an ack without error', () => {
    expect(errorFromAckError(0)).toBeNull();
  });

  it.each([
    [1, 'SERVER'],
    [2, 'INCORRECT_OFFSET'],
    [3, 'MESSAGE_TOO_LARGE'],
    [4, 'ENCRYPTION'],
    [9, 'SERVER'],
  ] as const)('%i is %s', (ackError, expected) => {
    expect(errorFromAckError(ackError, { stream: 's' })).toMatchObject({ code: expected, stream: 's' });
  });
});
