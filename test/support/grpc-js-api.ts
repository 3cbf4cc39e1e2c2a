import {
  type CallOptions,
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type Metadata,
  type MethodDefinition,
  makeGenericClientConstructor,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { APIDefinition } from '../../src/protocol/generated/api.js';

type Methods = (typeof APIDefinition)['methods'];
type RequestOf<Name extends keyof Methods> = Parameters<Methods[Name]['requestType']['encode']>[0];
type ResponseOf<Name extends keyof Methods> = ReturnType<Methods[Name]['responseType']['decode']>;

/** A message type of the generated code. */
interface Codec {
  encode(message: unknown): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

type Unary<Request, Response> = {
  (request: Request, done: (error: ServiceError | null, response: Response) => void): ClientUnaryCall;
  (
    request: Request,
    metadata: Metadata,
    options: Partial<CallOptions>,
    done: (error: ServiceError | null, response: Response) => void,
  ): ClientUnaryCall;
};

/** The service definition for servers and clients of grpc-js. */
export type APIService = { readonly [Name in keyof Methods]: MethodDefinition<RequestOf<Name>, ResponseOf<Name>> };

export const APIService = Object.fromEntries(
  Object.entries(APIDefinition.methods).map(([name, method]) => [name, definition(method)]),
) as unknown as APIService;

/** A grpc-js client of the service. */
export type APIClient = Client & {
  readonly [Name in Exclude<keyof Methods, 'subscribe' | 'publishAsync'>]: Unary<RequestOf<Name>, ResponseOf<Name>>;
} & {
  subscribe(request: RequestOf<'subscribe'>): ClientReadableStream<ResponseOf<'subscribe'>>;
  publishAsync(): ClientDuplexStream<RequestOf<'publishAsync'>, ResponseOf<'publishAsync'>>;
};

export const APIClient = makeGenericClientConstructor(APIService, APIDefinition.fullName) as unknown as {
  new (...args: ConstructorParameters<ServiceClientConstructor>): APIClient;
};

function definition({ name, requestType, requestStream, responseType, responseStream }: Methods[keyof Methods]) {
  return {
    path: `/${APIDefinition.fullName}/${name}`,
    requestStream,
    responseStream,
    ...codec('request', requestType),
    ...codec('response', responseType),
  };
}

function codec(what: 'request' | 'response', type: unknown) {
  const { encode, decode } = type as Codec;
  return {
    [`${what}Serialize`]: (message: unknown) => Buffer.from(encode(message).finish()),
    [`${what}Deserialize`]: (bytes: Buffer) => decode(bytes),
  };
}
