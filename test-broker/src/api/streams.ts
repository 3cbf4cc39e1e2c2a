import { loadBalanceGroupFault, newStreamNameFault, streamSubjectFault, wire } from 'liftbridge-client/protocol';
import type { BrokerNode, Operation, StreamConfig } from '../cluster/contract.js';
import type { Authorize } from '../grpc/authorization.js';
import type { Call, Method } from '../grpc/service.js';
import { RpcError } from '../grpc/status.js';
import { ValueEncryption } from '../log/encryption.js';
import { EncryptionError } from '../log/log-error.js';
import { unary } from './unary.js';

/** More than any cluster serves. Without a limit one request could exhaust the memory of the process. */
const MAX_PARTITIONS = 100_000;

const RESERVED_NAMES = new Set(['__activity', '__cursors']);

/** CreateStream, DeleteStream, PauseStream and SetStreamReadonly. */
export function streamMethods(node: BrokerNode, authorize: Authorize): Record<string, Method> {
  return {
    CreateStream: unary(wire.CreateStreamRequest, wire.CreateStreamResponse, async (request, call) => {
      checkCreate(request);
      authorize(call, request.name, call.method);
      checkEncryption(request.encryption?.value ?? node.settings['streams.encryption']);
      return propose(node, call, createOperation(request), 'Failed to replicate partition');
    }),
    DeleteStream: unary(wire.DeleteStreamRequest, wire.DeleteStreamResponse, async ({ name }, call) => {
      authorize(call, name, call.method);
      if (RESERVED_NAMES.has(name)) throw new RpcError('INVALID_ARGUMENT', 'Stream is reserved');
      return propose(node, call, { kind: 'delete-stream', name }, 'Failed to delete stream');
    }),
    PauseStream: unary(wire.PauseStreamRequest, wire.PauseStreamResponse, async (request, call) => {
      const { name, resumeAll } = request;
      authorize(call, name, call.method);
      const partitions = namedOrAll(node, request);
      return propose(node, call, { kind: 'pause-stream', name, partitions, resumeAll }, 'Failed to pause stream');
    }),
    SetStreamReadonly: unary(wire.SetStreamReadonlyRequest, wire.SetStreamReadonlyResponse, async (request, call) => {
      const { name, readonly } = request;
      authorize(call, name, call.method);
      const partitions = namedOrAll(node, request);
      const operation: Operation = { kind: 'set-readonly', name, partitions, readonly };
      return propose(node, call, operation, 'Failed to set stream readonly flag');
    }),
  };
}

/** The partitions of a request. The called broker looks all of them up in its own metadata. */
function namedOrAll(
  node: BrokerNode,
  { name, partitions }: { readonly name: string; readonly partitions: readonly number[] },
): readonly number[] {
  if (partitions.length > 0) return partitions;
  const stream = node.stream(name);
  if (!stream) throw new RpcError('NOT_FOUND', 'stream not found');
  return stream.partitions.map(({ id }) => id);
}

async function propose(
  node: BrokerNode,
  call: Call,
  operation: Operation,
  failurePrefix: string,
): Promise<Record<string, never>> {
  await node.propose(operation, { deadline: call.deadline, failurePrefix });
  return {};
}

function checkCreate(request: wire.CreateStreamRequest): void {
  const { name, subject, group, partitions } = request;
  if (name === '') refuse('Name cannot be empty');
  if (/[ \t\r\n]/.test(subject) || subject.split('.').includes('')) refuse('Subject is invalid');
  if (RESERVED_NAMES.has(name)) refuse('Stream is reserved');
  // A real server accepts the requests below, and crashes on them.
  refuseUnsafe('Name', newStreamNameFault(name));
  refuseUnsafe('Subject', streamSubjectFault(subject, partitions));
  refuseUnsafe('Group', loadBalanceGroupFault(group, subject));
  if (partitions < 0 || partitions > MAX_PARTITIONS) refuse(`Invalid partitions ${partitions}`);
  if ((request.cleanerInterval?.value ?? 0n) < 0n) refuse(`Invalid cleanerInterval ${request.cleanerInterval?.value}`);
  if ((request.segmentMaxBytes?.value ?? 0n) < 0n) refuse(`Invalid segmentMaxBytes ${request.segmentMaxBytes?.value}`);
}

/** Refuses requests that crash a real server, or make it mix up the files or the replication of its streams. */
function refuseUnsafe(what: string, fault: string | null): void {
  if (fault === null) return;
  refuse(`${what} is invalid: ${fault}. A real server accepts it, and then crashes or damages its streams`);
}

function refuse(message: string): never {
  throw new RpcError('INVALID_ARGUMENT', message);
}

function checkEncryption(wanted: boolean): void {
  if (!wanted) return;
  try {
    new ValueEncryption(process.env.LIFTBRIDGE_ENCRYPTION_KEY ?? '');
  } catch (error) {
    if (!(error instanceof EncryptionError)) throw error;
    const text = `Failed on preconditions for stream's encryption handler: ${error.message}`;
    throw new RpcError('FAILED_PRECONDITION', text);
  }
}

function createOperation(request: wire.CreateStreamRequest): Operation {
  return {
    kind: 'create-stream',
    name: request.name,
    subject: request.subject,
    group: request.group,
    replicationFactor: request.replicationFactor || 1,
    partitionCount: request.partitions || 1,
    config: streamConfig(request),
  };
}

function streamConfig(request: wire.CreateStreamRequest): StreamConfig {
  return {
    retentionMaxBytes: long(request.retentionMaxBytes),
    retentionMaxMessages: long(request.retentionMaxMessages),
    retentionMaxAge: long(request.retentionMaxAge),
    cleanerInterval: long(request.cleanerInterval),
    segmentMaxBytes: long(request.segmentMaxBytes),
    segmentMaxAge: long(request.segmentMaxAge),
    compactEnabled: request.compactEnabled?.value,
    compactMaxGoroutines: request.compactMaxGoroutines?.value,
    autoPauseTime: long(request.autoPauseTime),
    autoPauseDisableIfSubscribers: request.autoPauseDisableIfSubscribers?.value,
    minIsr: request.minIsr?.value,
    optimisticConcurrencyControl: request.optimisticConcurrencyControl?.value,
    encryption: request.encryption?.value,
  };
}

function long(field: wire.NullableInt64 | undefined): number | undefined {
  return field && Number(field.value);
}
