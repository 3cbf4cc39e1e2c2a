import { BinaryReader } from '@bufbuild/protobuf/wire';
import { WireError, WireReader } from 'liftbridge-client/protocol';
import { RpcError } from './status.js';

/** The half of a generated codec that reads. */
export interface RequestCodec<T> {
  decode(input: BinaryReader): T;
}

const UNREADABLE = 'proto: cannot parse invalid wire-format data';
const INVALID_TEXT = 'string field contains invalid UTF-8';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The request that a payload holds. Throws RpcError INTERNAL `grpc: error unmarshalling request: ...` for bytes that
 * are not such a message and for strings that are not UTF-8.
 */
export function decodeRequest<T>(codec: RequestCodec<T>, payload: Buffer): T {
  try {
    checkFields(payload);
    return codec.decode(new BinaryReader(payload, strictText));
  } catch (error) {
    throw undecodable(error);
  }
}

/** The status for a request that cannot be decoded. The server has one text for whatever is wrong with the bytes. */
export function undecodable(error: unknown): RpcError {
  const reason = error instanceof WireError && error.message === INVALID_TEXT ? INVALID_TEXT : UNREADABLE;
  return new RpcError('INTERNAL', `grpc: error unmarshalling request: ${reason}`);
}

/** Generated code takes some broken fields for the end of the message. Throws WireError for them. */
function checkFields(payload: Buffer): void {
  const reader = new WireReader();
  reader.open(payload, 0, payload.length);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) reader.skip(tag);
}

function strictText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new WireError(INVALID_TEXT);
  }
}
