import { BinaryReader } from '@bufbuild/protobuf/wire';
import { WireError, WireReader } from 'liftbridge-client/protocol';
import { RpcError } from './status.js';

/** The decoding half of a generated codec. */
export interface RequestCodec<T> {
  decode(input: BinaryReader): T;
}

const UNREADABLE = 'proto: cannot parse invalid wire-format data';
const INVALID_TEXT = 'string field contains invalid UTF-8';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** An undecodable request, with the error text of grpc-go for a unary call. */
export class UndecodableRequest extends RpcError {
  readonly #reason: string;

  constructor(reason: string) {
    super('INTERNAL', `grpc: error unmarshalling request: ${reason}`);
    this.#reason = reason;
  }

  /** The same error with the text for a call with a stream in either direction. */
  onStream(): RpcError {
    return new RpcError('INTERNAL', `grpc: failed to unmarshal the received message: ${this.#reason}`);
  }
}

/** Decodes the request in a payload. Throws UndecodableRequest for bytes that are not such a message, or not UTF-8. */
export function decodeRequest<T>(codec: RequestCodec<T>, payload: Buffer): T {
  try {
    checkFields(payload);
    return codec.decode(new BinaryReader(payload, strictText));
  } catch (error) {
    throw undecodable(error);
  }
}

/** The status for an undecodable request. The server has one text for all kinds of invalid bytes. */
export function undecodable(error: unknown): UndecodableRequest {
  const reason = error instanceof WireError && error.message === INVALID_TEXT ? INVALID_TEXT : UNREADABLE;
  return new UndecodableRequest(reason);
}

/** Generated code treats some broken fields as the end of the message. This throws WireError for them. */
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
