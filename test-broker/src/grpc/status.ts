/** The gRPC status codes by name. */
export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** Name of a gRPC status code, such as 'UNAVAILABLE'. */
export type StatusName = keyof typeof Status;

/** What a call fails with: a gRPC status and the text that goes with it on the wire. */
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

/** The error as Go's gRPC library prints it, which the server does wherever it wraps one in a text of its own. */
export function goErrorText({ status, message }: RpcError): string {
  return `rpc error: code = ${goName(status)} desc = ${message}`;
}

/** The name of a status as Go has it: `FailedPrecondition`. */
function goName(status: StatusName): string {
  if (status === 'OK') return 'OK';
  if (status === 'CANCELLED') return 'Canceled';
  return status
    .split('_')
    .map((word) => word[0] + word.slice(1).toLowerCase())
    .join('');
}
