import type { RpcError } from './status.js';

/** The call that a handler serves. */
export interface Call {
  /** The last part of the path, such as `CreateStream`. */
  readonly method: string;
  /** Deadline of the client, in milliseconds of the broker's clock; null without one. */
  readonly deadline: number | null;
  /** Common name of the verified client certificate; null without one. */
  readonly identity: string | null;
  /** Aborted when the client cancels, its deadline passes, its connection is lost, or the server stops. */
  readonly signal: AbortSignal;
}

/** A call whose response is a stream of messages. */
export interface StreamCall extends Call {
  /** Sends the response headers now, before there is a message. */
  sendHeaders(): void;
  /**
   * Sends framed messages (one or many). Returns false once the peer's window is full: the messages are kept, but the
   * handler should wait for `drained` before it writes more.
   */
  write(frames: Uint8Array): boolean;
  /** Resolves when `write` may continue, or the call is over. */
  drained(): Promise<void>;
}

/** A call with a stream of messages in both directions. */
export interface DuplexCall extends StreamCall {
  /**
   * Sets the handler of messages; it receives all messages of a chunk at once. The next chunk is read after the
   * returned promise, if any, has resolved.
   */
  onMessages(handler: (payloads: readonly Buffer[]) => Promise<void> | void): void;
  /** Resolves when the client has half-closed its side and every message was handled, or the call is over. */
  readonly received: Promise<void>;
}

/** One method of a service; a handler fails a call by throwing an {@link RpcError}. */
export type Method =
  | { readonly kind: 'unary'; handle(payload: Buffer, call: Call): Promise<Uint8Array> | Uint8Array }
  | {
      readonly kind: 'server-stream';
      /** Throws for an undecodable payload as soon as it has arrived; `handle` waits for the client's half-close. */
      check?(payload: Buffer): void;
      handle(payload: Buffer, call: StreamCall): Promise<void>;
    }
  | { readonly kind: 'duplex'; handle(call: DuplexCall): Promise<void> };

/** Services by full name (`proto.API`), and their methods by name. */
export type Services = ReadonlyMap<string, ReadonlyMap<string, Method>>;
