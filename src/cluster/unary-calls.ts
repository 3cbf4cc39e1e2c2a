import type { Operation } from '../errors.js';
import type { APIService } from '../protocol/generated/api.js';

/** Names of the unary RPCs, as the generated service writes them: 'createStream', 'fetchMetadata', ... */
export type UnaryMethod = {
  [Name in keyof APIService]: APIService[Name] extends { requestStream: false; responseStream: false } ? Name : never;
}[keyof APIService];

/** What is sent to a method. */
export type UnaryRequest<Method extends UnaryMethod> = Parameters<APIService[Method]['requestSerialize']>[0];

/** What a method answers. */
export type UnaryResponse<Method extends UnaryMethod> = ReturnType<APIService[Method]['responseDeserialize']>;

/** The name of the RPC as error texts show it: 'createStream' is `CreateStream`. */
export function operationOf(method: UnaryMethod): Operation {
  return (method.charAt(0).toUpperCase() + method.slice(1)) as Operation;
}
