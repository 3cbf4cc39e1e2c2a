import { AckTimeoutError, EncryptionError, IncorrectOffsetError, MessageTooLargeError } from '../error-classes.js';
import { TOO_LARGE, WRONG_OFFSET } from '../server-texts.js';
import { plain, type StatusRule } from '../status-rule.js';

/** Unary publishes, and the end of a PublishAsync call. */
export const PUBLISH_RULES: readonly StatusRule[] = [
  {
    on: ['Publish', 'PublishAsync', 'PublishToSubject'],
    status: 'UNKNOWN',
    text: WRONG_OFFSET,
    meaning: 'final',
    build: plain(IncorrectOffsetError),
    advice: 'Read the newest offset and publish with the one after it.',
  },
  {
    on: ['Publish', 'PublishAsync', 'PublishToSubject'],
    status: '*',
    text: TOO_LARGE,
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
];
