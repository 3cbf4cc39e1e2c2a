import { subjectLengthFault, wire } from 'liftbridge-client/protocol';
import type { BrokerNode } from '../cluster/contract.js';
import type { Authorize } from '../grpc/authorization.js';
import type { Method } from '../grpc/service.js';
import { RpcError } from '../grpc/status.js';
import { ackInboxOf } from '../publish/ack-wait.js';
import { publishAndWait } from '../publish/publish.js';
import { hasOverlongHeader, OVERLONG_HEADER } from '../publish/publish-checks.js';
import { publishEnvelope } from '../publish/publish-envelope.js';
import { unary } from './unary.js';

/**
 * PublishToSubject: a message for all streams that listen on a subject. The first ack, also one with an error, is the
 * response.
 */
export function publishToSubjectMethods(node: BrokerNode, authorize: Authorize): Record<string, Method> {
  return {
    PublishToSubject: unary(
      wire.PublishToSubjectRequest,
      wire.PublishToSubjectResponse,
      async (request, call): Promise<wire.PublishToSubjectResponse> => {
        const ackInbox = request.ackInbox || ackInboxOf(node);
        authorize(call, request.subject, call.method);
        if (hasOverlongHeader(request.headers)) throw new RpcError('INVALID_ARGUMENT', OVERLONG_HEADER.message);
        const { subject, ackPolicy } = request;
        refuseTooLong('Subject', subject);
        refuseTooLong('AckInbox', request.ackInbox);
        const envelope = publishEnvelope({ ...request, stream: '', expectedOffset: 0n }, subject, ackInbox);
        return { ack: await publishAndWait(node, { subject, envelope, ackInbox, ackPolicy }, call) };
      },
    ),
  };
}

/** The real server publishes it, and NATS then closes the connection of all publishes of the server for good. */
function refuseTooLong(what: string, subject: string): void {
  const fault = subjectLengthFault(subject);
  if (fault === null) return;
  throw new RpcError(
    'INVALID_ARGUMENT',
    `${what} is invalid: ${fault}. A real server accepts it, and then loses its NATS connection permanently`,
  );
}
