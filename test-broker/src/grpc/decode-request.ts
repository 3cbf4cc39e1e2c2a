import { RpcError } from './status.js';

/** The half of a generated codec that reads. */
export interface RequestCodec<T> {
  decode(input: Uint8Array): T;
}

/**
 * The request that a payload holds. Throws RpcError INTERNAL `grpc: error unmarshalling request: ...` for bytes that
 * are not such a message and for strings that are not UTF-8.
 */
export function decodeRequest<T>(codec: RequestCodec<T>, payload: Buffer): T {
  let request: T;
  try {
    request = codec.decode(payload);
  } catch (error) {
    throw undecodable(error instanceof Error ? error.message : String(error));
  }
  if (!textIsWhole(request, payload)) throw undecodable('string field contains invalid UTF-8');
  return request;
}

/** The status for a request that cannot be decoded. */
export function undecodable(reason: string): RpcError {
  return new RpcError('INTERNAL', `grpc: error unmarshalling request: ${reason}`);
}

/**
 * The generated decoders put a replacement character where bytes are not UTF-8. A string with one in it was valid only
 * if its own bytes stand in the payload.
 */
function textIsWhole(value: unknown, payload: Buffer): boolean {
  if (typeof value === 'string') return !value.includes('\uFFFD') || payload.includes(value);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return true;
  if (value instanceof Map) return [...value.keys(), ...value.values()].every((part) => textIsWhole(part, payload));
  return Object.values(value).every((part) => textIsWhole(part, payload));
}
