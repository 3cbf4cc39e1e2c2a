import type { Operation } from '../errors.js';
import { CURSORS_STREAM } from '../options.js';
import { APIDefinition } from '../protocol/generated/api.js';
import { type UnaryMethodDefinition, unaryMethod } from '../transport/unary.js';

type Methods = (typeof APIDefinition)['methods'];

/** Names of the unary RPCs, as the generated service writes them: 'createStream', 'fetchMetadata', ... */
export type UnaryMethod = {
  [Name in keyof Methods]: Methods[Name] extends { requestStream: false; responseStream: false } ? Name : never;
}[keyof Methods];

/** The request message of a method. */
export type UnaryRequest<Method extends UnaryMethod> = Parameters<Methods[Method]['requestType']['encode']>[0];

/** The response message of a method. */
export type UnaryResponse<Method extends UnaryMethod> = ReturnType<Methods[Method]['responseType']['decode']>;

/** The name of the RPC as error texts show it: 'createStream' is `CreateStream`. */
export function operationOf(method: UnaryMethod): Operation {
  return (method.charAt(0).toUpperCase() + method.slice(1)) as Operation;
}

/**
 * Bytes at most of an answer that is decoded at once. FetchMetadata, whose answers are larger, is read step by step. The
 * decoder makes up to twelve bytes of one byte, so this is 192 MiB.
 */
const LARGEST_ANSWER = 16 * 1024 * 1024;

const definitions = new Map<UnaryMethod, unknown>();

/** Path and codecs of a method. */
export function definitionOf<Method extends UnaryMethod>(
  method: Method,
): UnaryMethodDefinition<UnaryRequest<Method>, UnaryResponse<Method>> {
  type Definition = UnaryMethodDefinition<UnaryRequest<Method>, UnaryResponse<Method>>;
  const known = definitions.get(method) as Definition | undefined;
  if (known !== undefined) return known;
  const { fullName, methods } = APIDefinition;
  const definition = bounded(unaryMethod(fullName, methods[method] as never) as Definition);
  definitions.set(method, definition);
  return definition;
}

/**
 * The streams that a FetchMetadata call names when only the answer itself counts. Every broker answers it with a few bytes,
 * also one that keeps no cursors. An empty list would ask for all streams.
 */
export const BRIEF_REQUEST: readonly string[] = [CURSORS_STREAM];

/** The definition, whose decoder refuses what is too large. */
function bounded<Request, Response>(
  definition: UnaryMethodDefinition<Request, Response>,
): UnaryMethodDefinition<Request, Response> {
  return {
    ...definition,
    decode: (bytes) => {
      if (bytes.length <= LARGEST_ANSWER) return definition.decode(bytes);
      throw new RangeError(`the answer has ${bytes.length} bytes, more than ${LARGEST_ANSWER}`);
    },
  };
}
