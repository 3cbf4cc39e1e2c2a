import { constants, type ServerHttp2Stream } from 'node:http2';
import { type Deferred, deferred, FRAME_PREFIX } from 'liftbridge-client/protocol';
import { setImmediate } from '../timers.js';
import type { CallConnection, CallHost } from './call-host.js';
import type { RequestHead } from './request-head.js';
import { responseHeaders, STATUS_ONLY, STREAMED, statusOnlyHeaders, statusTrailers } from './response-head.js';
import type { StatusName } from './status.js';

/** Bytes that may wait for the peer's window before the writer has to pause. */
const MAX_WRITE_BYTES = 256 * 1024;
/** Smaller pieces are copied into one; larger ones go to the stream one by one. */
const MAX_PACKED_BYTES = 32 * 1024;

/** The response half of a call: joins the writes of one turn, respects the peer's window, and ends with a status. */
export class ResponseWriter {
  readonly #host: CallHost;
  readonly #connection: CallConnection;
  readonly #stream: ServerHttp2Stream;
  readonly #method: string;
  readonly #contentType: string;
  #out: Uint8Array[] = [];
  #outBytes = 0;
  #flushing = false;
  #drained: Deferred<void> | null = null;

  constructor(host: CallHost, connection: CallConnection, stream: ServerHttp2Stream, head: RequestHead) {
    this.#host = host;
    this.#connection = connection;
    this.#stream = stream;
    this.#method = head.method;
    this.#contentType = head.contentType;
  }

  sendHeaders(): void {
    if (this.#gone || this.#stream.headersSent) return;
    if (this.#host.silent) this.#host.afterSilence(() => this.sendHeaders());
    else this.#stream.respond(responseHeaders(this.#contentType), STREAMED);
  }

  /** Returns false when the writer should wait for `drained` before it writes more. */
  write(frames: Uint8Array): boolean {
    this.#out.push(frames);
    this.#outBytes += frames.length;
    if (!this.#flushing) {
      this.#flushing = true;
      this.#host.flushSoon(this);
    }
    return this.#waiting < MAX_WRITE_BYTES;
  }

  drained(): Promise<void> {
    if (this.#gone || this.#waiting < MAX_WRITE_BYTES) return Promise.resolve();
    this.#drained ??= deferred();
    return this.#drained.promise;
  }

  /** Ends every wait for `drained`. */
  release(): void {
    this.#drained?.resolve();
    this.#drained = null;
  }

  /** Passes the pending writes to the stream, joined where that is cheap. */
  flush(): void {
    this.#flushing = false;
    if (this.#out.length === 0 || this.#gone) return;
    if (this.#host.silent) {
      this.#flushing = true;
      this.#host.afterSilence(() => this.flush());
      return;
    }
    const parts = this.#out;
    const bytes = this.#outBytes;
    this.discard();
    if (!this.#stream.headersSent) this.#stream.respond(responseHeaders(this.#contentType), STREAMED);
    if (this.#cuts(bytes)) this.#cutWithin(Buffer.concat(parts, bytes));
    else this.#send(parts, bytes);
  }

  /** Ends the response after all writes: with trailers, or with headers only when nothing was written. */
  end(status: StatusName, message: string): void {
    if (this.#gone) return;
    if (this.#host.silent) {
      this.#host.afterSilence(() => this.end(status, message));
      return;
    }
    this.flush();
    const stream = this.#stream;
    if (stream.headersSent) {
      stream.once('wantTrailers', () => {
        stream.sendTrailers(statusTrailers(status, message));
        this.#letGo();
      });
      stream.end();
    } else {
      stream.respond(statusOnlyHeaders(status, message, this.#contentType), STATUS_ONLY);
      this.#letGo();
    }
  }

  /** Resets the stream with an error code of HTTP/2. */
  reset(code: number): void {
    if (this.#host.silent) this.#host.afterSilence(() => this.reset(code));
    else this.#stream.close(code);
  }

  /** Discards the writes that have not reached the stream. */
  discard(): void {
    this.#out = [];
    this.#outBytes = 0;
  }

  get #gone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  get #waiting(): number {
    return this.#outBytes + this.#stream.writableLength;
  }

  #send(parts: Uint8Array[], bytes: number): void {
    const stream = this.#stream;
    if (parts.length === 1) stream.write(parts[0], this.#onWritten);
    else if (bytes <= MAX_PACKED_BYTES) stream.write(Buffer.concat(parts, bytes), this.#onWritten);
    else {
      stream.cork();
      for (const part of parts) stream.write(part, this.#onWritten);
      stream.uncork();
    }
  }

  readonly #onWritten = (): void => {
    if (this.#drained && this.#waiting < MAX_WRITE_BYTES / 2) this.release();
  };

  #cuts(bytes: number): boolean {
    const { faults, brokerIndex } = this.#host;
    return faults?.calls.armed === true && bytes > FRAME_PREFIX && faults.calls.takeCut(brokerIndex, this.#method);
  }

  #cutWithin(frames: Buffer): void {
    let start = 0;
    let end = 0;
    while (end < frames.length) {
      start = end;
      end = start + FRAME_PREFIX + frames.readUInt32BE(start + 1);
    }
    const middle = start + Math.ceil((frames.length - start) / 2);
    // After that, the bytes take two turns to reach the socket.
    this.#stream.write(frames.subarray(0, middle), () =>
      setImmediate(() => setImmediate(() => this.#connection.cut())),
    );
  }

  /** Tells a client that is still sending to stop, without an error, because it has its response. */
  #letGo(): void {
    const stream = this.#stream;
    // The reader discards later bytes, so that they do not fill the connection's window.
    stream.resume();
    setImmediate(() => {
      if (!this.#gone && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }
}
