import type { BinaryReader } from '@bufbuild/protobuf/wire';
import { decodeRequest } from '../grpc/decode-request.js';
import type { Call, Method } from '../grpc/service.js';

interface Encoded {
  finish(): Uint8Array;
}

/** The generated codec of a message. */
export interface Codec<T> {
  encode(message: T): Encoded;
  decode(input: BinaryReader): T;
}

/** A call with one request and one response, both decoded. */
export function unary<Q, A>(
  request: Codec<Q>,
  response: Codec<A>,
  handle: (request: Q, call: Call) => Promise<A> | A,
): Method {
  return {
    kind: 'unary',
    async handle(payload, call) {
      return response.encode(await handle(decodeRequest(request, payload), call)).finish();
    },
  };
}
