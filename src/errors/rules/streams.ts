import {
  CursorsDisabledError,
  EncryptionError,
  NoSuchPartitionError,
  NoSuchStreamError,
  ReadonlyPartitionError,
  StreamExistsError,
} from '../error-classes.js';
import { plain, type StatusRule, serverLater } from '../status-rule.js';

/** Streams, partitions and cursors. */
export const STREAM_RULES: readonly StatusRule[] = [
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
];
