/**
 * Options: their rules, their defaults, and the one helper that checks them.
 *
 * @module
 */
export { CALL_SHAPE, type CallOptions } from './options/call-options.js';
export {
  CLIENT_DEFAULTS,
  type ClientOptions,
  type MaxInFlight,
  type ResolvedClientOptions,
  resolveClientOptions,
  resolveConnect,
  type ServerSelection,
  withoutUndefined,
} from './options/client-options.js';
export { type Logger, loggerWith } from './options/logger.js';
export {
  ACTIVITY_STREAM,
  ackInbox,
  CURSORS_STREAM,
  envelopeInbox,
  identifier,
  loadBalanceGroup,
  newStreamName,
  publishSubject,
  streamName,
  streamSubject,
  wellFormedText,
} from './options/names.js';
export type { PublishDefaults } from './options/publish-defaults.js';
export {
  arrayOf,
  bytes,
  callback,
  either,
  flag,
  group,
  headers,
  int64,
  integer,
  isDetached,
  messageKey,
  milliseconds,
  name,
  oneOf,
  partitionId,
  payload,
  recordOf,
  signal,
  text,
} from './options/rules.js';
export {
  checkValue,
  describe,
  type Rule,
  readOptions,
  readParts,
  readValue,
  type Shape,
} from './options/validate.js';
