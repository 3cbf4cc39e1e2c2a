import { BinaryReader } from '@bufbuild/protobuf/wire';
import { WireError } from 'liftbridge-client/protocol';
import { RpcError } from './status.js';

/** The half of a generated codec that reads. */
export interface RequestCodec<T> {
  decode(input: BinaryReader): T;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The request that a payload holds. Throws RpcError INTERNAL `grpc: error unmarshalling request: ...` for bytes that
 * are not such a message and for strings that are not UTF-8.
 */
export function decodeRequest<T>(codec: RequestCodec<T>, payload: Uint8Array): T {
  try {
    return codec.decode(new BinaryReader(payload, strictText));
  } catch (error) {
    throw undecodable(error instanceof WireError ? error.message : 'proto: cannot parse invalid wire-format data');
  }
}

/** The status for a request that cannot be decoded. */
export function undecodable(reason: string): RpcError {
  return new RpcError('INTERNAL', `grpc: error unmarshalling request: ${reason}`);
}

function strictText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new WireError('string field contains invalid UTF-8');
  }
}
