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

/** A request that cannot be decoded, in the words that grpc-go has for a unary call. */
export class UndecodableRequest extends RpcError {
  readonly #reason: string;

  constructor(reason: string) {
    super('INTERNAL', `grpc: error unmarshalling request: ${reason}`);
    this.#reason = reason;
  }

  /** The same in the words for a call with a stream in either direction. */
  onStream(): RpcError {
    return new RpcError('INTERNAL', `grpc: failed to unmarshal the received message: ${this.#reason}`);
  }
}

/** The request that a payload holds. Throws UndecodableRequest for bytes that are not such a message, or not UTF-8. */
export function decodeRequest<T>(codec: RequestCodec<T>, payload: Buffer): T {
  try {
    checkFields(payload);
    return codec.decode(new BinaryReader(payload, strictText));
  } catch (error) {
    throw undecodable(error);
  }
}

/** The status for a request that cannot be decoded. The server has one text for whatever is wrong with the bytes. */
export function undecodable(error: unknown): UndecodableRequest {
  const reason = error instanceof WireError && error.message === INVALID_TEXT ? INVALID_TEXT : UNREADABLE;
  return new UndecodableRequest(reason);
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
