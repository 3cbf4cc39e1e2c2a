import { ByteWriter, decodePublishRequest, encodePublishResponse } from 'liftbridge-client/protocol';
import type { BrokerNode } from '../cluster/contract.js';
import type { Authorize } from '../grpc/authorization.js';
import type { Method } from '../grpc/service.js';
import { publish } from '../publish/publish.js';

const NO_ACK = Object.freeze({ ack: undefined, asyncError: undefined, correlationId: '' });
const writer = new ByteWriter();

/** The Publish call. */
export function publishMethods(node: BrokerNode, authorize: Authorize): Record<string, Method> {
  return {
    Publish: {
      kind: 'unary',
      async handle(payload, call) {
        const request = decodePublishRequest(payload);
        const ack = await publish(node, authorize, request, call);
        encodePublishResponse(writer, ack ? { ...NO_ACK, ack } : NO_ACK);
        return writer.take();
      },
    },
  };
}
