import {
  decodeAckFields,
  ENVELOPE_ACK,
  envelopeFault,
  readEnvelope,
  WireReader,
  type wire,
} from 'liftbridge-client/protocol';
import { RpcError } from '../grpc/status.js';

/** Decodes the ack in a message of an ack inbox. Throws UNKNOWN for any other message. */
export function readAck(data: Buffer): wire.Ack {
  const start = readEnvelope(data, ENVELOPE_ACK);
  if (start < 0) throw new RpcError('UNKNOWN', `Invalid ack for publish: ${reason(data, start)}`);
  const reader = new WireReader();
  reader.open(data, start, data.length);
  try {
    return decodeAckFields(reader, true);
  } catch {
    throw new RpcError('UNKNOWN', 'Invalid ack for publish: proto: cannot parse invalid wire-format data');
  }
}

/** The server's error texts for an invalid envelope. */
function reason(data: Buffer, answer: number): string {
  switch (envelopeFault(answer)) {
    case 'too-short':
      return 'data missing envelope header';
    case 'bad-magic':
      return 'unexpected envelope magic number';
    case 'unknown-version':
      return `unknown envelope protocol: ${data[4]}`;
    case 'wrong-type':
      return `MsgType mismatch: expected ${ENVELOPE_ACK}, got ${data[7]}`;
    case 'checksum':
      return 'crc mismatch';
    default:
      return 'incorrect envelope header size';
  }
}
