import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2';
import { monotonicNow } from '../async/clock.js';
import { deferred } from '../async/deferred.js';
import { clearTimeout, LONGEST_DELAY_MS, setImmediate, setTimeout } from '../async/timers.js';
import { messageOf } from '../errors/quote.js';
import type { ByteWriter } from '../protocol/byte-writer.js';
import { FrameError, FrameSplitter, type OnFrame } from './frames.js';
import { Outbox } from './outbox.js';
import { type RpcFailure, Status } from './status.js';
import {
  lostEnd,
  type Received,
  refusedResponse,
  resetEnd,
  type StreamEnd,
  serverEnd,
  transportEnd,
} from './stream-end.js';

const LATE = 'deadline exceeded';

/** The session of a stream, as the stream uses it. */
export interface StreamOwner {
  /** The end that the connection gave this stream, or undefined while the connection works. */
  connectionEnd(id: number | undefined, received: Received): StreamEnd | undefined;
  /** The stream has ended. */
  release(stream: DuplexStream): void;
}

/** One gRPC call with a stream of messages either way. Only an error of `encode` is thrown. */
export class DuplexStream {
  /** Settles exactly once, and never rejects. After it no message is handed out. */
  readonly ended: Promise<StreamEnd>;
  readonly #end = deferred<StreamEnd>();
  readonly #owner: StreamOwner;
  readonly #outbox = new Outbox();
  readonly #splitter: FrameSplitter;
  #stream: ClientHttp2Stream | undefined;
  #onFrame: OnFrame | undefined;
  #onBatch: (() => void) | undefined;
  #headers: IncomingHttpHeaders | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #midMessageSince: number | null = null;
  #paused = false;
  #readToEnd = false;
  #settled = false;
  #deadline: number | undefined;
  #cleanup: (() => void)[] = [];

  /** Made by `DataSession.open`. */
  constructor(owner: StreamOwner, maxMessageBytes: number) {
    this.#owner = owner;
    this.#splitter = new FrameSplitter(maxMessageBytes);
    this.ended = this.#end.promise;
  }

  /** Bytes written but not yet taken by the peer's flow control. */
  get pendingBytes(): number {
    return this.#outbox.pending;
  }

  /** When the stream must have ended, as of `monotonicNow()`. @internal */
  get deadline(): number | undefined {
    return this.#deadline;
  }

  /** False once nothing more can be written: half-closed or ended. A write after that is dropped. */
  get writable(): boolean {
    return this.#outbox.writable;
  }

  /** Adds one message; what `encode` throws is thrown here, and the message left out. Messages of a tick go out together. */
  write(encode: (writer: ByteWriter) => void): void {
    this.#outbox.add(encode);
  }

  /** Adds one message that is encoded already. */
  send(payload: Uint8Array): void {
    this.#outbox.addPayload(payload);
  }

  /** Resolves when at most `below` bytes (default 0) are pending, and also when the stream ends. */
  drained(below = 0): Promise<void> {
    return this.#outbox.drained(below);
  }

  /** Ends the writing; what is pending is still sent. */
  halfClose(): void {
    this.#outbox.end();
  }

  /**
   * Sets what is called for every message, synchronously, with the part of a buffer that it takes. Reading starts with it:
   * before that, as while paused, the server's end is not read either. What it throws ends the stream as INTERNAL.
   */
  onFrames(handler: OnFrame): void {
    this.#onFrame = handler;
    if (!this.#paused) this.#stream?.resume();
  }

  /** Sets what is called after the messages of one chunk have been handed out. */
  onBatch(handler: () => void): void {
    this.#onBatch = handler;
  }

  /** Stops reading: the current chunk is still handed out, then the peer may send one window and has to stop. */
  pause(): void {
    this.#paused = true;
    this.#stream?.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#onFrame !== undefined) this.#stream?.resume();
  }

  /** Ends the stream as CANCELLED and tells the peer. */
  cancel(reason = 'cancelled by this client'): void {
    this.#abandon(Status.CANCELLED, reason);
  }

  /** When the message that is not complete began to arrive, as of `monotonicNow()`; null between two messages. */
  get midMessageSince(): number | null {
    return this.#midMessageSince;
  }

  /** Lets `deadline` (as of `monotonicNow()`) and `signal` end the stream. @internal */
  limit(deadline: number | undefined, signal: AbortSignal | undefined): void {
    this.#deadline = deadline;
    if (deadline !== undefined) this.#startDeadline(deadline);
    if (signal === undefined || this.#settled) return;
    const onAbort = () => this.cancel(abortText(signal));
    if (signal.aborted) onAbort();
    else {
      signal.addEventListener('abort', onAbort, { once: true });
      this.#cleanup.push(() => signal.removeEventListener('abort', onAbort));
    }
  }

  #startDeadline(deadline: number): void {
    const left = deadline - monotonicNow();
    const expire = () => {
      // A timer holds 31 bits; a longer deadline takes several.
      if (deadline > monotonicNow()) this.#startDeadline(deadline);
      else this.#abandon(Status.DEADLINE_EXCEEDED, LATE);
    };
    if (left <= 0) {
      expire();
      return;
    }
    const timer = setTimeout(expire, Math.min(left, LONGEST_DELAY_MS));
    this.#cleanup.push(() => clearTimeout(timer));
  }

  /** Starts on the HTTP/2 stream of this call. @internal */
  attach(stream: ClientHttp2Stream): void {
    this.#stream = stream;
    stream.pause();
    stream.on('response', (headers) => this.#response(headers));
    stream.on('trailers', (trailers) => {
      this.#trailers = trailers;
      if (this.#readToEnd) this.#finish();
    });
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('end', () => this.#endOfData());
    // The close that follows carries the code; without a listener the process would end.
    stream.on('error', () => {});
    stream.on('close', () => this.#closed());
    if (this.#paused || this.#onFrame === undefined) stream.pause();
    else stream.resume();
    this.#outbox.attach(stream);
  }

  /** Ends the stream with the end that its session gives it. @internal */
  fail(end: StreamEnd): void {
    this.#finishWith(end);
    this.#stream?.close(constants.NGHTTP2_CANCEL);
  }

  /** Ends the stream because its connection is gone. @internal */
  lose(failure: RpcFailure): void {
    if (this.#settled) return;
    const id = this.#stream?.id;
    this.fail(this.#owner.connectionEnd(id, this.#received) ?? lostEnd(failure, id !== undefined, this.#received));
  }

  get #received(): Received {
    return { headers: this.#headers, trailers: this.#trailers };
  }

  #response(headers: IncomingHttpHeaders): void {
    this.#headers = headers;
    const refusal = refusedResponse(this.#received);
    if (refusal !== undefined) this.fail(refusal);
    // Trailers-only: messages may not be requested yet, and none will come.
    else if (headers['grpc-status'] !== undefined) this.#stream?.resume();
  }

  #read(chunk: Buffer): void {
    if (this.#settled || this.#onFrame === undefined) return;
    try {
      this.#splitter.push(chunk, this.#handOut);
      if (this.#splitter.buffered > 0) this.#midMessageSince ??= monotonicNow();
      if (!this.#settled) this.#onBatch?.();
    } catch (error) {
      const [code, message] = readFailure(error);
      this.#abandon(code, message, error);
    }
  }

  readonly #handOut: OnFrame = (source, start, end) => {
    this.#midMessageSince = null;
    // A handler may have ended the stream with an earlier message of this chunk.
    if (!this.#settled) this.#onFrame?.(source, start, end);
  };

  #endOfData(): void {
    this.#readToEnd = true;
    // Trailers may be announced just after the end of the data.
    if (this.#hasStatus) this.#finish();
    else setImmediate(() => this.#finish());
  }

  #finish(): void {
    if (this.#settled) return;
    const end = this.#hasStatus ? this.#orLate(serverEnd(this.#received)) : this.#endWithoutStatus();
    try {
      if (end.code === Status.OK) this.#splitter.finish();
      this.#finishWith(end);
    } catch (error) {
      const [code, message] = readFailure(error);
      this.#finishWith(transportEnd(code, message, true, this.#received, { cause: error }));
    }
    // The server has ended the call: unsent data has no reader, and must not keep the stream open.
    const stream = this.#stream;
    stream?.close(stream.writableFinished ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
  }

  get #hasStatus(): boolean {
    return this.#trailers !== undefined || this.#headers?.['grpc-status'] !== undefined;
  }

  /** Node ends the data of a stream also when it was cut off: the connection and the reset code tell. */
  #endWithoutStatus(): StreamEnd {
    const lost = this.#owner.connectionEnd(this.#stream?.id, this.#received);
    if (lost !== undefined) return lost;
    const code = this.#stream?.rstCode ?? 0;
    return code === 0 ? serverEnd(this.#received) : this.#orLate(resetEnd(code, this.#received));
  }

  /**
   * A server that cancels a call because its deadline has passed may be heard before the timer of this side: then CANCELLED,
   * as a status or as a reset, means the deadline. A cancellation by this side never comes here.
   */
  #orLate(end: StreamEnd): StreamEnd {
    const late = end.code === Status.CANCELLED && this.#deadline !== undefined && monotonicNow() >= this.#deadline;
    return late ? transportEnd(Status.DEADLINE_EXCEEDED, LATE, true, this.#received) : end;
  }

  #closed(): void {
    if (this.#settled) return;
    // A status counts only when every message before it was read.
    if (this.#readToEnd) this.#finish();
    else this.#finishWith(this.#endWithoutStatus());
  }

  #abandon(code: number, message: string, cause?: unknown): void {
    if (this.#settled) return;
    this.#finishWith(transportEnd(code, message, this.#stream !== undefined, this.#received, { cause }));
    this.#stream?.close(constants.NGHTTP2_CANCEL);
  }

  #finishWith(end: StreamEnd): void {
    if (this.#settled) return;
    this.#settled = true;
    for (const undo of this.#cleanup) undo();
    this.#cleanup = [];
    this.#outbox.close();
    // Unread data is dropped: the stream might never close otherwise.
    this.#stream?.resume();
    this.#end.resolve(end);
    this.#owner.release(this);
  }
}

function readFailure(error: unknown): [code: number, message: string] {
  if (!(error instanceof FrameError)) return [Status.INTERNAL, `reading a message failed: ${messageOf(error)}`];
  return [error.reason === 'too-large' ? Status.RESOURCE_EXHAUSTED : Status.INTERNAL, error.message];
}

function abortText({ reason }: AbortSignal): string {
  return messageOf(reason);
}
