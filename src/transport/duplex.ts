import type { ByteWriter } from '../protocol/byte-writer.js';
import type { TlsOptions } from './credentials.js';
import type { OnFrame } from './frames.js';
import type { CallMetadata, TransportLogger } from './metadata.js';
import type { RpcFailure } from './status.js';
import type { OpenOptions, StreamEnd } from './stream-end.js';

export type { ConnectionReason } from './connection-reason.js';
export type { TlsOptions } from './credentials.js';
export type { CallMetadata, MetadataEntries, ReceivedMetadata, TransportLogger } from './metadata.js';
export type { OpenOptions, StreamEnd } from './stream-end.js';

/** Where a session leads and how it watches its peer. Durations are milliseconds. */
export interface DataSessionOptions {
  readonly host: string;
  readonly port: number;
  /** True is TLS with Node's own trusted CAs. Default: plaintext. */
  readonly tls?: boolean | TlsOptions;
  /** gRPC metadata of every call. */
  readonly callMetadata?: CallMetadata;
  /** The peer is asked for a sign of life after so long a silence. Default 30_000. */
  readonly keepaliveTime?: number;
  /** It has so long to answer. Default 15_000. */
  readonly keepaliveTimeout?: number;
  /** TCP, TLS and the peer's SETTINGS together. Default 10_000. */
  readonly connectTimeout?: number;
  /** Largest message to accept, in bytes. Default 4 MiB. */
  readonly maxReceiveBytes?: number;
  readonly logger?: TransportLogger;
}

/** `draining`: no new streams, running ones may finish. `closed` is final: a new session takes its place. */
export type SessionState = 'idle' | 'connecting' | 'open' | 'draining' | 'closed';

/** One HTTP/2 session to one broker, for the streams of the data plane. */
export declare class DataSession {
  constructor(options: DataSessionOptions);
  readonly state: SessionState;
  /** Why the session ended; undefined while it lives and after an orderly close. */
  readonly failure: RpcFailure | undefined;
  /** Connects, once for all callers. Rejects with RpcFailure, whose `connection` says why. */
  connect(): Promise<void>;
  /** Opens a stream. Never throws: on a session that is not open the stream ends at once, as not processed. */
  open(path: string, options?: OpenOptions): DuplexStream;
  /** Calls `listener` once when the session no longer takes streams (draining or closed); answers the way to take it back. */
  onClose(listener: (failure: RpcFailure | undefined) => void): () => void;
  /** Ends every stream as UNAVAILABLE and closes the connection. Idempotent; resolves when the socket is closed. */
  close(): Promise<void>;
}

/** One gRPC call with a stream of messages either way. Nothing on it throws but `encode`. */
export declare class DuplexStream {
  /** Settles exactly once, and never rejects. After it no message is handed out. */
  readonly ended: Promise<StreamEnd>;
  /** Bytes written but not yet taken by the peer's flow control. */
  readonly pendingBytes: number;
  /** True once nothing more can be written: half-closed or ended. */
  readonly writable: boolean;
  /** Adds one message; what `encode` throws is thrown here, and the message left out. Messages of a tick go out together. */
  write(encode: (writer: ByteWriter) => void): void;
  /** Adds one message that is encoded already. */
  send(payload: Uint8Array): void;
  /** Resolves when at most `below` bytes (default 0) are pending, and also when the stream ends. */
  drained(below?: number): Promise<void>;
  /** Says that nothing more will be written; what is pending still goes out. */
  halfClose(): void;
  /** Sets what is called for every message, synchronously, as part of a buffer. Reading starts with it. An error it throws ends the stream as INTERNAL. */
  onFrames(handler: OnFrame): void;
  /** Sets what is called after the messages of one chunk have been handed out. */
  onBatch(handler: () => void): void;
  /** Stops reading: the chunk at hand is still handed out, then the peer may send one window and has to stop. */
  pause(): void;
  resume(): void;
  /** Ends the stream as CANCELLED and tells the peer. */
  cancel(reason?: string): void;
}
