import { constants, type ServerHttp2Stream } from 'node:http2';
import { type Deferred, deferred, frame, WireError } from 'liftbridge-client/protocol';
import type { ClockTimer } from '../clock.js';
import type { Faults } from '../faults.js';
import type { CallConnection, CallHost } from './call-host.js';
import { UndecodableRequest, undecodable } from './decode-request.js';
import type { RequestHead } from './request-head.js';
import { RequestReader, UnexpectedEnd } from './request-reader.js';
import { ResponseWriter } from './response-writer.js';
import type { DuplexCall, Method } from './service.js';
import { RpcError, type StatusName } from './status.js';

const MAX_TIMER_MS = 2 ** 31 - 1;
const NO_REQUEST = 'cardinality violation: received no request message from non-client-streaming RPC';
const SECOND_REQUEST = 'cardinality violation: received multiple request messages for non-client-streaming RPC';

// Created once: the stack of an error costs more than all other work at the end of a call.
const ENDED = new RpcError('CANCELLED', 'the call has ended');
const CANCELLED = new RpcError('CANCELLED', 'context canceled');

type Messages = (payloads: readonly Buffer[]) => Promise<void> | void;

/** One call of any kind on one HTTP/2 stream: its deadline, messages, responses and status. */
export class ServedCall implements DuplexCall {
  readonly method: string;
  readonly deadline: number | null;
  /** Name of the encoding of the request's messages; empty for none. */
  readonly encoding: string;
  readonly #host: CallHost;
  readonly #connection: CallConnection;
  readonly #stream: ServerHttp2Stream;
  readonly #writer: ResponseWriter;
  #kind: Method['kind'] = 'unary';
  #reader: RequestReader | null = null;
  #timer: ClockTimer | null = null;
  #abort: AbortController | null = null;
  #received: Deferred<void> | null = null;
  #receivedAll = false;
  /** The reason why the handler's side of the call has ended; null while it is open. */
  #over: Error | null = null;

  constructor(host: CallHost, connection: CallConnection, stream: ServerHttp2Stream, head: RequestHead) {
    const { method, timeout } = head;
    this.#host = host;
    this.#connection = connection;
    this.#stream = stream;
    this.#writer = new ResponseWriter(host, connection, stream, head);
    this.method = method;
    this.encoding = head.encoding;
    this.deadline = timeout === null ? null : host.now() + timeout;
    stream.on('error', (error: Error) => this.#settle(error));
    stream.once('aborted', () => this.#settle(CANCELLED));
    stream.once('close', () => this.#closed());
    if (timeout !== null && timeout <= MAX_TIMER_MS)
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
    if (this.#receivedAll || this.#over) return Promise.resolve();
    this.#received ??= deferred();
    return this.#received.promise;
  }

  /** Whether the call is open and may have more than one response. */
  get streaming(): boolean {
    return this.#over === null && this.#kind !== 'unary';
  }

  /** Sets the kind of the call. */
  begin(kind: Method['kind']): void {
    this.#kind = kind;
  }

  sendHeaders(): void {
    if (this.#over === null) this.#writer.sendHeaders();
  }

  write(frames: Uint8Array): boolean {
    return this.#over !== null || this.#writer.write(frames);
  }

  drained(): Promise<void> {
    return this.#over ? Promise.resolve() : this.#writer.drained();
  }

  onMessages(handler: Messages): void {
    if (this.#over) return;
    if (this.#reader) throw new Error(`the messages of ${this.method} already have a handler`);
    this.#reader = new RequestReader(this.#stream, this.#host.messageLimit, {
      messages: (payloads) => (this.#over || this.#struck() ? undefined : handler(payloads)),
      ended: () => this.#end(),
      failed: (error) => this.fail(error),
    });
  }

  /** Reads the first message of a unary call at once, and ignores later ones. */
  onFirstRequest(handler: (payload: Buffer) => void): void {
    let taken = false;
    this.#reader = new RequestReader(this.#stream, this.#host.messageLimit, {
      messages: ([payload]) => {
        if (taken || this.#over) return;
        taken = true;
        handler(payload!);
      },
      ended: () => {
        if (!taken) this.fail(new RpcError('UNKNOWN', 'EOF'));
        this.#end();
      },
      failed: (error) => {
        if (!taken) this.fail(error instanceof UnexpectedEnd ? new RpcError('UNKNOWN', error.message) : error);
      },
    });
  }

  /** Reads the only message of a call with a streamed response, and passes it on when the client has half-closed. */
  onOnlyRequest(check: ((payload: Buffer) => void) | undefined, handler: (payload: Buffer) => void): void {
    let request: Buffer | null = null;
    this.#reader = new RequestReader(this.#stream, this.#host.messageLimit, {
      messages: (payloads) => {
        for (const payload of payloads) {
          if (this.#over) return;
          check?.(payload);
          if (request !== null) throw new RpcError('INTERNAL', SECOND_REQUEST);
          request = payload;
        }
      },
      ended: () => {
        if (request === null) this.fail(new RpcError('INTERNAL', NO_REQUEST));
        else if (!this.#over) handler(request);
        this.#end();
      },
      failed: (error) => this.fail(error),
    });
  }

  /** Ends the call with its only response. */
  reply(payload: Uint8Array): void {
    if (this.#over) return;
    this.#writer.write(frame(payload));
    this.finish();
  }

  /** Ends the call with OK, after all writes. */
  finish(): void {
    this.#finish('OK', '', ENDED);
  }

  /** Ends the call with the status of an error, after all writes. */
  fail(error: unknown): void {
    if (this.#over) return;
    const reason = this.#statusOf(error);
    if (reason.status === 'DEADLINE_EXCEEDED' && this.#host.faults?.deadlines.takeReset()) this.#reset(reason);
    else this.#finish(reason.status, reason.message, reason);
  }

  /** Ends the call by the fault planned for its RPC; false when there is none. */
  strike({ calls }: Faults): boolean {
    const code = calls.takeReset(this.#host.brokerIndex, this.method);
    const rejection = code === null ? calls.takeRejection(this.#host.brokerIndex, this.method) : null;
    if (code !== null) this.#writer.reset(code);
    else if (rejection !== null) this.#finish(rejection.status, rejection.message, rejection);
    return code !== null || rejection !== null;
  }

  /** Whether a planned fault ends this call in place of its message. */
  #struck(): boolean {
    const { faults } = this.#host;
    return faults?.calls.armed === true && this.strike(faults);
  }

  #end(): void {
    this.#receivedAll = true;
    this.#received?.resolve();
  }

  #statusOf(error: unknown): RpcError {
    const known = error instanceof WireError ? undecodable(error) : error;
    if (known instanceof UndecodableRequest && this.#kind !== 'unary') return known.onStream();
    if (known instanceof RpcError) return known;
    this.#host.warn(`${this.method} failed`, error);
    return new RpcError('UNKNOWN', error instanceof Error ? error.message : String(error));
  }

  #finish(status: StatusName, message: string, reason: Error): void {
    if (this.#over) return;
    this.#settle(reason);
    this.#reader?.stop();
    this.#writer.end(status, message);
  }

  /** grpc-go also ends a call in this way when its deadline has passed. */
  #reset(reason: Error): void {
    this.#settle(reason);
    this.#reader?.stop();
    this.#writer.reset(constants.NGHTTP2_CANCEL);
  }

  /** Ends the handler's side of the call and resolves its waits. */
  #settle(reason: Error): void {
    if (this.#over) return;
    this.#over = reason;
    this.#timer?.cancel();
    this.#timer = null;
    this.#received?.resolve();
    this.#writer.release();
    this.#abort?.abort(reason);
  }

  #closed(): void {
    this.#settle(CANCELLED);
    this.#writer.discard();
    this.#host.closed(this);
  }
}
