import { BinaryReader } from '@bufbuild/protobuf/wire';
import { WireError } from 'liftbridge-client/protocol';
import { undecodable } from '../grpc/decode-request.js';
import type { Call, Method } from '../grpc/service.js';

interface Encoded {
  finish(): Uint8Array;
}

/** The generated codec of a message. */
export interface Codec<T> {
  encode(message: T): Encoded;
  decode(input: BinaryReader): T;
}

const UNREADABLE = 'proto: cannot parse invalid wire-format data';
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function strictText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new WireError('string field contains invalid UTF-8');
  }
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

/** A request as the server reads it: text has to be UTF-8. Throws INTERNAL for what is not such a message. */
export function decodeRequest<Q>(codec: Codec<Q>, payload: Uint8Array): Q {
  const reader = new BinaryReader(payload, strictText);
  let request: Q;
  try {
    request = codec.decode(reader);
  } catch (error) {
    throw undecodable(error instanceof WireError ? error.message : UNREADABLE);
  }
  // The generated code takes a field number of 0 for the end of the message.
  if (reader.pos < reader.len) throw undecodable(UNREADABLE);
  return request;
}
