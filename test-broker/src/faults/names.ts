import { constants } from 'node:http2';
import { Status, type StatusName } from '../grpc/status.js';
import { unknownName, wrongValue } from '../option-error.js';

/** An RPC that a fault can strike. Written out, like all names here, so that the published types hold no tables. */
export type RpcName =
  | 'CreateStream'
  | 'DeleteStream'
  | 'PauseStream'
  | 'SetStreamReadonly'
  | 'Subscribe'
  | 'FetchMetadata'
  | 'FetchPartitionMetadata'
  | 'Publish'
  | 'PublishAsync'
  | 'PublishToSubject'
  | 'SetCursor'
  | 'FetchCursor'
  | 'JoinConsumerGroup'
  | 'LeaveConsumerGroup'
  | 'FetchConsumerGroupAssignments'
  | 'ReportConsumerGroupCoordinator'
  | 'Check'
  | 'Watch';

/** Every RPC of `proto.API` and of the health service. */
const RPC_NAMES = Object.keys({
  CreateStream: true,
  DeleteStream: true,
  PauseStream: true,
  SetStreamReadonly: true,
  Subscribe: true,
  FetchMetadata: true,
  FetchPartitionMetadata: true,
  Publish: true,
  PublishAsync: true,
  PublishToSubject: true,
  SetCursor: true,
  FetchCursor: true,
  JoinConsumerGroup: true,
  LeaveConsumerGroup: true,
  FetchConsumerGroupAssignments: true,
  ReportConsumerGroupCoordinator: true,
  Check: true,
  Watch: true,
} satisfies Record<RpcName, true>) as RpcName[];

/** An HTTP/2 error code that a stream can be reset with. */
export type ResetCode =
  | 'NO_ERROR'
  | 'PROTOCOL_ERROR'
  | 'INTERNAL_ERROR'
  | 'FLOW_CONTROL_ERROR'
  | 'STREAM_CLOSED'
  | 'REFUSED_STREAM'
  | 'CANCEL'
  | 'ENHANCE_YOUR_CALM'
  | 'INADEQUATE_SECURITY';

const RESET_CODES: Readonly<Record<ResetCode, number>> = Object.freeze({
  NO_ERROR: constants.NGHTTP2_NO_ERROR,
  PROTOCOL_ERROR: constants.NGHTTP2_PROTOCOL_ERROR,
  INTERNAL_ERROR: constants.NGHTTP2_INTERNAL_ERROR,
  FLOW_CONTROL_ERROR: constants.NGHTTP2_FLOW_CONTROL_ERROR,
  STREAM_CLOSED: constants.NGHTTP2_STREAM_CLOSED,
  REFUSED_STREAM: constants.NGHTTP2_REFUSED_STREAM,
  CANCEL: constants.NGHTTP2_CANCEL,
  ENHANCE_YOUR_CALM: constants.NGHTTP2_ENHANCE_YOUR_CALM,
  INADEQUATE_SECURITY: constants.NGHTTP2_INADEQUATE_SECURITY,
});

/** Throws BrokerOptionError for a name that no RPC has. */
export function checkRpc(rpc: RpcName): void {
  if (RPC_NAMES.includes(rpc)) return;
  const given: unknown = rpc;
  if (typeof given !== 'string' || given === '') throw wrongValue('rpc', `one of ${RPC_NAMES.join(', ')}`, rpc);
  throw unknownName('RPC', given, given, RPC_NAMES);
}

/** Checks an integer of at least `min`. Throws BrokerOptionError for anything else. */
export function checkTimes(name: string, value: number, min: number): number {
  if (!Number.isSafeInteger(value) || value < min) throw wrongValue(name, `an integer of at least ${min}`, value);
  return value;
}

/** Checks a number of milliseconds. Throws BrokerOptionError for anything else. */
export function checkMilliseconds(value: number): number {
  if (!(typeof value === 'number' && value >= 0 && Number.isFinite(value)))
    throw wrongValue('ms', 'a number of at least 0', value);
  return value;
}

/** The status for a name or a number. Throws BrokerOptionError for OK and an unknown status. */
export function statusName(code: StatusName | number): StatusName {
  const names = Object.keys(Status) as StatusName[];
  const name = typeof code === 'number' ? names.find((candidate) => Status[candidate] === code) : code;
  if (typeof name !== 'string' || !Object.hasOwn(Status, name) || name === 'OK')
    throw wrongValue('code', `a gRPC status other than OK (${names.slice(1).join(', ')}) or its number`, code);
  return name;
}

/** The number of an HTTP/2 error code. Throws BrokerOptionError for an invalid one. */
export function resetNumber(code: ResetCode | number): number {
  if (typeof code === 'number') {
    if (Number.isInteger(code) && code >= 0 && code <= 13) return code;
  } else if (typeof code === 'string' && Object.hasOwn(RESET_CODES, code)) return RESET_CODES[code];
  throw wrongValue('errorCode', `one of ${Object.keys(RESET_CODES).join(', ')} or a number from 0 to 13`, code);
}
