import type { RpcError } from './status.js';

/** What a handler knows of the call that it serves. */
export interface Call {
  /** The last part of the path, such as `CreateStream`. */
  readonly method: string;
  /** When the client stops waiting, in milliseconds of the broker's clock; null when it gave no deadline. */
  readonly deadline: number | null;
  /** Common name of the verified client certificate; null without one. */
  readonly identity: string | null;
  /** Aborted when the client cancels, its deadline passes, its connection is lost, or the server stops. */
  readonly signal: AbortSignal;
}

/** A call whose answer is a stream of messages. */
export interface StreamCall extends Call {
  /** Sends the response headers now, before there is a message. */
  sendHeaders(): void;
  /**
   * Sends messages that are framed already (one or many). False once the peer's window is full: what was given is
   * kept, but the handler should wait for `drained` before it gives more.
   */
  write(frames: Uint8Array): boolean;
  /** Resolves when `write` may go on, or the call is over. */
  drained(): Promise<void>;
}

/** A call with a stream of messages in both directions. */
export interface DuplexCall extends StreamCall {
  /**
   * The messages as they come, every message of a chunk at once. The next chunk is read only after the returned
   * promise, if any, has resolved.
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
      /** Throws for a payload that cannot be decoded, as soon as it is there; `handle` waits for the client's half-close. */
      check?(payload: Buffer): void;
      handle(payload: Buffer, call: StreamCall): Promise<void>;
    }
  | { readonly kind: 'duplex'; handle(call: DuplexCall): Promise<void> };

/** Services by full name (`proto.API`), and their methods by name. */
export type Services = ReadonlyMap<string, ReadonlyMap<string, Method>>;
