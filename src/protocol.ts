/**
 * Wire types, hot codecs and frames, for the test broker and for tools. Internal: outside semantic versioning.
 *
 * @module
 * @internal
 */
export { type Deferred, deferred } from './async/deferred.js';
export { errorText, excerpt, messageOf, quoted } from './errors/quote.js';
export {
  headerNameFault,
  loadBalanceGroupFault,
  newStreamNameFault,
  streamSubjectFault,
  subjectLengthFault,
} from './options/names.js';
export { decodeAckFields, encodeAckFields } from './protocol/ack.js';
export { type AckPolicy, ackPolicyCode, ackPolicyOf } from './protocol/ack-policy.js';
export { ByteWriter } from './protocol/byte-writer.js';
export {
  beginEnvelope,
  ENVELOPE_ACK,
  ENVELOPE_MESSAGE,
  type EnvelopeFault,
  envelopeFault,
  readEnvelope,
  readMessageEnvelope,
} from './protocol/envelope-frame.js';
export * as wire from './protocol/generated/api.js';
export * as cursorWire from './protocol/generated/cursor.js';
export * as healthWire from './protocol/generated/health.js';
export { decodeHeader, encodeHeaders, type HeaderEntries } from './protocol/headers.js';
export {
  decodeMessage,
  decodeMessageHeaders,
  emptyMessage,
  encodeMessage,
  type MessageFields,
  type MessageTarget,
} from './protocol/message.js';
export { decodePublishRequest, encodePublishRequest, type PublishFields } from './protocol/publish-request.js';
export { decodePublishResponse, encodePublishResponse } from './protocol/publish-response.js';
export { type Ack, type AckError, fromAck, toAck } from './protocol/received-ack.js';
export { type Message, ReceivedMessage } from './protocol/received-message.js';
export { RecentText, type TextSource, WireError, WireReader } from './protocol/wire-reader.js';
export {
  beginFrame,
  endFrame,
  FRAME_PREFIX,
  FrameError,
  FrameSplitter,
  frame,
  type OnFrame,
} from './transport/frames.js';
export { keepForStream } from './transport/native-session.js';
export { Status, type StatusName } from './transport/status.js';
