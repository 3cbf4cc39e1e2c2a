import { constants, type ServerHttp2Stream, type ServerStreamResponseOptions } from 'node:http2';
import { FRAME_PREFIX, frame, WireError } from 'liftbridge-client/protocol';
import type { ClockTimer } from '../clock.js';
import type { CallConnection, CallHost } from './call-host.js';
import { undecodable } from './decode-request.js';
import { RequestReader } from './request-reader.js';
import { responseHeaders, statusOnlyHeaders, statusTrailers } from './response-head.js';
import type { DuplexCall, Method } from './service.js';
import { RpcError, type StatusName } from './status.js';

/** Bytes that may wait for the peer's window before a writer is told to pause. */
const WRITE_LIMIT = 256 * 1024;
/** Below this, pieces are copied into one; above, they go to the stream one by one. */
const PACK_LIMIT = 32 * 1024;
const LONGEST_TIMER = 2 ** 31 - 1;

// Node puts a date on every answer unless it is told not to; servers of gRPC send none.
const STREAMED = { waitForTrailers: true, sendDate: false } as ServerStreamResponseOptions;
const STATUS_ONLY = { endStream: true, sendDate: false } as ServerStreamResponseOptions;

// Made once: an error's stack costs more than all else that the end of a call does.
const ENDED = new RpcError('CANCELLED', 'the call has ended');
const CANCELLED = new RpcError('CANCELLED', 'context canceled');

type Messages = (payloads: readonly Buffer[]) => Promise<void> | void;

/** One call on one HTTP/2 stream, of whatever kind: reads its messages, packs its answers, ends it with a status. */
export class ServedCall implements DuplexCall {
  readonly method: string;
  readonly deadline: number | null;
  readonly #host: CallHost;
  readonly #connection: CallConnection;
  readonly #stream: ServerHttp2Stream;
  #kind: Method['kind'] = 'unary';
  #reader: RequestReader | null = null;
  #timer: ClockTimer | null = null;
  #abort: AbortController | null = null;
  #received: PromiseWithResolve | null = null;
  #receivedAll = false;
  #drained: PromiseWithResolve | null = null;
  #out: Uint8Array[] = [];
  #outBytes = 0;
  #flushing = false;
  /** Set once the status of the call is decided. */
  #ending: { readonly status: StatusName; readonly message: string } | null = null;
  #over: Error | null = null;

  constructor(
    host: CallHost,
    connection: CallConnection,
    stream: ServerHttp2Stream,
    method: string,
    timeout: number | null,
  ) {
    this.#host = host;
    this.#connection = connection;
    this.#stream = stream;
    this.method = method;
    this.deadline = timeout === null ? null : Date.now() + timeout;
    stream.on('error', (error: Error) => this.#lost(error));
    stream.once('close', () => this.#closed());
    stream.once('aborted', () => this.#lost(CANCELLED));
    if (timeout !== null && timeout <= LONGEST_TIMER)
      this.#timer = host.after(timeout, () =>
        this.fail(new RpcError('DEADLINE_EXCEEDED', 'context deadline exceeded')),
      );
  }

  get identity(): string | null {
    return this.#connection.identity;
  }

  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      if (this.#over) this.#abort.abort(this.#over);
    }
    return this.#abort.signal;
  }

  get received(): Promise<void> {
    this.#received ??= new PromiseWithResolve();
    if (this.#receivedAll || this.#over) this.#received.resolve();
    return this.#received.promise;
  }

  /** Whether the call is still open and has more than one answer. */
  get streaming(): boolean {
    return this.#over === null && this.#kind !== 'unary';
  }

  /** Set before the method is run. */
  set kind(kind: Method['kind']) {
    this.#kind = kind;
  }

  sendHeaders(): void {
    if (this.#over || this.#stream.headersSent) return;
    if (this.#host.silent) this.#host.afterSilence(() => this.sendHeaders());
    else this.#stream.respond(responseHeaders(), STREAMED);
  }

  write(frames: Uint8Array): boolean {
    if (this.#over) return true;
    this.#out.push(frames);
    this.#outBytes += frames.length;
    if (!this.#flushing) {
      this.#flushing = true;
      this.#host.flushSoon(this);
    }
    return this.#waiting < WRITE_LIMIT;
  }

  drained(): Promise<void> {
    if (this.#over || this.#waiting < WRITE_LIMIT) return Promise.resolve();
    this.#drained ??= new PromiseWithResolve();
    return this.#drained.promise;
  }

  onMessages(handler: Messages): void {
    if (this.#over) return;
    if (this.#reader) throw new Error(`the messages of ${this.method} have a handler already`);
    this.#reader = new RequestReader(this.#stream, this.#host.messageLimit, {
      messages: (payloads) => (this.#over || this.#struck() ? undefined : handler(payloads)),
      ended: () => this.#end(),
      failed: (error) => this.fail(error),
    });
  }

  /** Reads the one message of a call whose request is not a stream. */
  onRequest(handler: (payload: Buffer) => void): void {
    let taken = false;
    this.#reader = new RequestReader(this.#stream, this.#host.messageLimit, {
      messages: ([payload]) => {
        if (taken || this.#over) return;
        taken = true;
        handler(payload!);
      },
      ended: () => {
        if (!taken)
          this.fail(
            new RpcError(
              'INTERNAL',
              'cardinality violation: received no request message from non-client-streaming RPC',
            ),
          );
        this.#end();
      },
      failed: (error) => {
        if (!taken) this.fail(error);
      },
    });
  }

  /** Ends the call with its one answer. */
  reply(payload: Uint8Array): void {
    if (this.#over) return;
    this.#out.push(frame(payload));
    this.#outBytes += FRAME_PREFIX + payload.length;
    this.#finish('OK', '');
  }

  /** Ends the call with OK, after all that was written. */
  finish(): void {
    this.#finish('OK', '');
  }

  /** Ends the call with the status that an error stands for, after all that was written. */
  fail(error: unknown): void {
    if (this.#over) return;
    const status = this.#statusOf(error);
    this.#finish(status.status, status.message, status);
  }

  /** Resets the stream with an error code of HTTP/2. */
  reset(code: number): void {
    if (this.#host.silent) this.#host.afterSilence(() => this.reset(code));
    else this.#stream.close(code);
  }

  /** Hands what was written to the stream, in one piece where that is cheap. */
  flush(): void {
    this.#flushing = false;
    if (this.#out.length === 0 || this.#stream.destroyed || this.#stream.closed) return;
    if (this.#host.silent) {
      this.#flushing = true;
      this.#host.afterSilence(() => this.flush());
      return;
    }
    const parts = this.#out;
    const bytes = this.#outBytes;
    this.#out = [];
    this.#outBytes = 0;
    if (!this.#stream.headersSent) this.#stream.respond(responseHeaders(), STREAMED);
    if (this.#cuts(bytes)) this.#cutWithin(Buffer.concat(parts, bytes));
    else this.#send(parts, bytes);
  }

  get #waiting(): number {
    return this.#outBytes + this.#stream.writableLength;
  }

  #send(parts: Uint8Array[], bytes: number): void {
    const stream = this.#stream;
    if (parts.length === 1) stream.write(parts[0], this.#onWritten);
    else if (bytes <= PACK_LIMIT) stream.write(Buffer.concat(parts, bytes), this.#onWritten);
    else {
      stream.cork();
      for (const part of parts) stream.write(part, this.#onWritten);
      stream.uncork();
    }
  }

  readonly #onWritten = (): void => {
    if (this.#drained && this.#waiting < WRITE_LIMIT / 2) this.#release();
  };

  #release(): void {
    this.#drained?.resolve();
    this.#drained = null;
  }

  /** Whether a planned fault ends this call instead of what came. */
  #struck(): boolean {
    const { faults, brokerIndex } = this.#host;
    return faults?.armed === true && strike(this, faults, brokerIndex);
  }

  #cuts(bytes: number): boolean {
    const { faults, brokerIndex } = this.#host;
    return faults?.armed === true && bytes > FRAME_PREFIX && faults.takeCut(brokerIndex, this.method);
  }

  #cutWithin(frames: Buffer): void {
    let start = 0;
    let end = 0;
    while (end < frames.length) {
      start = end;
      end = start + FRAME_PREFIX + frames.readUInt32BE(start + 1);
    }
    const middle = start + Math.ceil((frames.length - start) / 2);
    // Once it is handed over, it takes two turns until the bytes have left for the socket.
    this.#stream.write(frames.subarray(0, middle), () =>
      setImmediate(() => setImmediate(() => this.#connection.cut())),
    );
  }

  #end(): void {
    this.#receivedAll = true;
    this.#received?.resolve();
  }

  #statusOf(error: unknown): RpcError {
    if (error instanceof RpcError) return error;
    if (error instanceof WireError) return undecodable(error.message);
    this.#host.warn(`${this.method} failed`, error);
    return new RpcError('UNKNOWN', error instanceof Error ? error.message : String(error));
  }

  #finish(status: StatusName, message: string, reason: Error = ENDED): void {
    if (this.#over) return;
    this.#ending = { status, message };
    this.#settle(reason);
    this.#sendStatus();
  }

  /** The handler's side of the call is over. */
  #settle(reason: Error): void {
    this.#over = reason;
    this.#timer?.cancel();
    this.#timer = null;
    this.#received?.resolve();
    this.#release();
    this.#abort?.abort(reason);
  }

  #sendStatus(): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed || !this.#ending) return;
    if (this.#host.silent) {
      this.#host.afterSilence(() => this.#sendStatus());
      return;
    }
    this.flush();
    const { status, message } = this.#ending;
    if (!stream.headersSent) {
      stream.respond(statusOnlyHeaders(status, message), STATUS_ONLY);
      this.#letGo();
      return;
    }
    stream.once('wantTrailers', () => {
      stream.sendTrailers(statusTrailers(status, message));
      this.#letGo();
    });
    stream.end();
  }

  /** A client that is still sending is told to stop; without an error, since it has its answer. */
  #letGo(): void {
    const stream = this.#stream;
    if (this.#reader) this.#reader.stop();
    else stream.resume();
    setImmediate(() => {
      if (!stream.destroyed && !stream.closed && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  #lost(reason: Error): void {
    if (this.#over === null) this.#settle(reason);
  }

  #closed(): void {
    this.#lost(CANCELLED);
    this.#out = [];
    this.#outBytes = 0;
    this.#host.closed(this);
  }
}

/** Ends a call by the fault that is planned for its RPC; false when there is none. */
export function strike(call: ServedCall, faults: NonNullable<CallHost['faults']>, broker: number): boolean {
  const code = faults.takeReset(broker, call.method);
  if (code !== null) {
    call.reset(code);
    return true;
  }
  const rejection = faults.takeRejection(broker, call.method);
  if (rejection === null) return false;
  call.fail(rejection);
  return true;
}

class PromiseWithResolve {
  readonly promise: Promise<void>;
  resolve!: () => void;

  constructor() {
    this.promise = new Promise<void>((resolve) => {
      this.resolve = resolve;
    });
  }
}
