import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { setImmediate } from '../timers.js';
import type { CallConnection, CallHost } from './call-host.js';
import { goQuote } from './go-quote.js';
import { type Refusal, readRequestHead } from './request-head.js';
import { STATUS_ONLY, statusOnlyHeaders } from './response-head.js';
import { ServedCall } from './served-call.js';
import type { Method, Services } from './service.js';
import { RpcError } from './status.js';

/** Opens the call of a new stream; null for a request that is no gRPC call, which gets its response at once. */
export function openCall(
  host: CallHost,
  connection: CallConnection,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
): { readonly call: ServedCall; readonly service: string } | null {
  const head = readRequestHead(headers, rawHeaders);
  if ('status' in head) {
    refuse(stream, head);
    return null;
  }
  return { call: new ServedCall(host, connection, stream, head), service: head.service };
}

/** Passes a call to its method, or to the fault planned for it. */
export function serve(host: CallHost, call: ServedCall, service: string, services: Services): void {
  if (host.faults?.calls.armed && call.strike(host.faults)) return;
  const methods = services.get(service);
  const method = methods?.get(call.method);
  if (!methods) call.fail(new RpcError('UNIMPLEMENTED', `unknown service ${service}`));
  else if (!method) call.fail(new RpcError('UNIMPLEMENTED', `unknown method ${call.method} for service ${service}`));
  else if (call.encoding !== '' && call.encoding !== 'identity')
    call.fail(
      new RpcError('UNIMPLEMENTED', `grpc: Decompressor is not installed for grpc-encoding ${goQuote(call.encoding)}`),
    );
  else run(call, method);
}

function refuse(stream: ServerHttp2Stream, refusal: Refusal): void {
  // The client may have left already; then no response is needed.
  stream.on('error', () => stream.destroy());
  if (stream.destroyed || stream.closed) return;
  const { status, message, contentType, httpStatus } = refusal;
  stream.respond(statusOnlyHeaders(status, message, contentType, httpStatus), STATUS_ONLY);
  stream.resume();
  setImmediate(() => {
    if (!stream.destroyed && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}

function run(call: ServedCall, method: Method): void {
  call.begin(method.kind);
  if (method.kind === 'unary') {
    call.onFirstRequest((payload) => answer(call, () => method.handle(payload, call)));
  } else if (method.kind === 'server-stream') {
    call.onOnlyRequest(method.check, (payload) => runStream(call, () => method.handle(payload, call)));
  } else {
    runStream(call, () => method.handle(call));
  }
}

function answer(call: ServedCall, handle: () => Promise<Uint8Array> | Uint8Array): void {
  let answered: Promise<Uint8Array> | Uint8Array;
  try {
    answered = handle();
  } catch (error) {
    call.fail(error);
    return;
  }
  if (answered instanceof Uint8Array) call.reply(answered);
  else
    answered.then(
      (payload) => call.reply(payload),
      (error: unknown) => call.fail(error),
    );
}

function runStream(call: ServedCall, handle: () => Promise<void>): void {
  // Async, so that a handler that throws before its first wait fails the call too.
  const running = async () => handle();
  running().then(
    () => call.finish(),
    (error: unknown) => call.fail(error),
  );
}
