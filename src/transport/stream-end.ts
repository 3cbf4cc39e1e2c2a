import type { ConnectionReason } from './connection-reason.js';
import type { ReceivedMetadata } from './metadata.js';
import type { StatusName } from './status.js';

/** How a stream ended. */
export interface StreamEnd {
  /** gRPC status code; 0 is a clean end. */
  readonly code: number;
  /** Name of `code`. */
  readonly codeName: StatusName;
  /** The server's text, decoded, or what the transport has to say. */
  readonly message: string;
  /** Leading metadata, empty when none came. */
  readonly headers: ReceivedMetadata;
  /** Trailing metadata, empty when none came. */
  readonly trailers: ReceivedMetadata;
  /** True when the status was made on this side (connection lost, reset, deadline, cancel), false when the server sent it. */
  readonly transport: boolean;
  /** False when the server cannot have seen the call: it may be repeated without doubt. */
  readonly processed: boolean;
  /** Why the connection was not there, when that is what ended the stream. */
  readonly connection?: ConnectionReason;
}

/** Options of one stream. */
export interface OpenOptions {
  /** Milliseconds that the whole stream may take; sent as `grpc-timeout` and enforced here. Default: none. */
  readonly timeout?: number;
  /** Point in time, as of `Date.now()`, at which the stream must have ended; wins over a later `timeout`. */
  readonly deadline?: number;
  /** Cancels the stream. */
  readonly signal?: AbortSignal;
  /** Largest message to accept, in bytes; default: the session's `maxReceiveBytes`. */
  readonly maxMessageBytes?: number;
}
