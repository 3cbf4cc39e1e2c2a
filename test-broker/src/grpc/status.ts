import { Status } from 'liftbridge-client/protocol';

export { Status };

/**
 * Name of a gRPC status. Written out: a published type that refers to the wire types of the client would need the types of
 * `@bufbuild/protobuf`, which TypeScript before 5.7 cannot read.
 */
export type StatusName =
  | 'OK'
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED';

/** The failure of a call: a gRPC status and its text on the wire. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly status: StatusName;

  constructor(status: StatusName, message: string) {
    super(message);
    this.status = status;
  }

  get code(): number {
    return Status[this.status];
  }
}

/** The error as Go's gRPC library prints it; the server does so when it wraps one in its own text. */
export function goErrorText({ status, message }: RpcError): string {
  return `rpc error: code = ${goName(status)} desc = ${message}`;
}

/** The name of a status in Go: `FailedPrecondition`. */
function goName(status: StatusName): string {
  if (status === 'OK') return 'OK';
  if (status === 'CANCELLED') return 'Canceled';
  return status
    .split('_')
    .map((word) => word[0] + word.slice(1).toLowerCase())
    .join('');
}
