import * as wire from '../protocol/generated/api.js';

/** One unary RPC, as the generated service definitions describe it (`APIService.fetchMetadata` and so on). */
export interface UnaryMethodDefinition<Request, Response> {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: false;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** How a message type is encoded. */
interface Encoder {
  encode(message: never): { finish(): Uint8Array };
}

/** Requests that carry user data. The serializers of the generated definitions copy each request once more after encoding it. */
const encoders: ReadonlyMap<string, Encoder> = new Map<string, Encoder>([
  [wire.APIService.publish.path, wire.PublishRequest],
  [wire.APIService.publishToSubject.path, wire.PublishToSubjectRequest],
]);

/** The bytes of a request, copied no more than needed. */
export function encodeRequest<Request>(method: UnaryMethodDefinition<Request, unknown>, request: Request): Buffer {
  const encoder = encoders.get(method.path);
  if (encoder === undefined) return method.requestSerialize(request);
  const bytes = encoder.encode(request as never).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
