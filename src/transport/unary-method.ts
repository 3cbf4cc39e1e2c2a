/** One unary RPC: its path, and how its two messages are encoded. */
export interface UnaryMethodDefinition<Request, Response> {
  /** Path of the request, such as `/proto.API/FetchMetadata`. */
  readonly path: string;
  encode(request: Request): Uint8Array;
  decode(bytes: Buffer): Response;
}

/** A message type of the generated code. */
interface Codec<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
}

/** The definition of a method of the generated service `fullName`, such as `proto.API`. */
export function unaryMethod<Request, Response>(
  fullName: string,
  method: { readonly name: string; readonly requestType: Codec<Request>; readonly responseType: Codec<Response> },
): UnaryMethodDefinition<Request, Response> {
  const { name, requestType, responseType } = method;
  return {
    path: `/${fullName}/${name}`,
    encode: (request) => requestType.encode(request).finish(),
    decode: (bytes) => responseType.decode(bytes),
  };
}
