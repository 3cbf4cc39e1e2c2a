import type { ServerHttp2Stream } from 'node:http2';
import { FRAME_PREFIX, FrameError, FrameSplitter } from 'liftbridge-client/protocol';
import { RpcError } from './status.js';

/** The flag of a compressed message. */
const COMPRESSED = 1;

/** Callbacks of a reader to its call. */
export interface RequestSink {
  /** Receives every message that a chunk completed; reading continues after the promise has resolved. */
  messages(payloads: readonly Buffer[]): Promise<void> | void;
  /** The client has half-closed, and all messages are handled. */
  ended(): void;
  failed(error: unknown): void;
}

/** The request ended inside a message. The status differs between a unary call and a stream. */
export class UnexpectedEnd extends RpcError {
  constructor() {
    super('INTERNAL', 'unexpected EOF');
  }
}

/** Splits the request stream of a call into messages and passes on all of a chunk at once. */
export class RequestReader {
  readonly #stream: ServerHttp2Stream;
  readonly #splitter: FrameSplitter;
  readonly #limit: number;
  readonly #sink: RequestSink;
  #stopped = false;

  constructor(stream: ServerHttp2Stream, limit: number, sink: RequestSink) {
    this.#stream = stream;
    this.#limit = limit;
    this.#splitter = new FrameSplitter(limit);
    this.#sink = sink;
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.once('end', () => this.#end());
  }

  /** Stops passing on messages and discards later bytes, so that they do not fill the connection's window. */
  stop(): void {
    this.#stopped = true;
    this.#stream.resume();
  }

  #read(chunk: Buffer): void {
    if (this.#stopped) return;
    const payloads: Buffer[] = [];
    let broken: unknown = null;
    try {
      this.#splitter.push(chunk, (source, start, end) => payloads.push(source.subarray(start, end)));
    } catch (error) {
      broken = this.#statusOf(error);
    }
    this.#deliver(payloads, broken);
  }

  #deliver(payloads: Buffer[], broken: unknown): void {
    try {
      const pending = payloads.length > 0 ? this.#sink.messages(payloads) : undefined;
      if (pending instanceof Promise) this.#wait(pending, broken);
      else if (broken !== null) this.#fail(broken);
    } catch (error) {
      this.#fail(error);
    }
  }

  #wait(pending: Promise<void>, broken: unknown): void {
    this.#stream.pause();
    pending.then(
      () => {
        if (broken !== null) this.#fail(broken);
        else this.#stream.resume();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #end(): void {
    if (this.#stopped) return;
    // The server treats a truncated prefix as the end of the messages.
    if (this.#splitter.buffered < FRAME_PREFIX) this.#sink.ended();
    else this.#fail(new UnexpectedEnd());
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.stop();
    this.#sink.failed(error);
  }

  /** The texts are those of grpc-go. */
  #statusOf(error: unknown): unknown {
    if (!(error instanceof FrameError)) return error;
    if (error.reason === 'too-large')
      return new RpcError(
        'RESOURCE_EXHAUSTED',
        `grpc: received message larger than max (${error.size} vs. ${this.#limit})`,
      );
    if (error.flag > COMPRESSED)
      return new RpcError('INTERNAL', `grpc: received unexpected payload format ${error.flag}`);
    return new RpcError('INTERNAL', 'grpc: compressed flag set with identity or empty encoding');
  }
}
