import { ByteWriter, beginEnvelope, ENVELOPE_ACK, encodeAckFields, type wire } from 'liftbridge-client/protocol';

/** The error of an ack for a message that was not stored. */
export const ACK_ERROR = Object.freeze({ OK: 0, UNKNOWN: 1, INCORRECT_OFFSET: 2, TOO_LARGE: 3, ENCRYPTION: 4 });

/** The ack that a publisher requested, kept until it is due. */
export interface AckRequest {
  readonly ackInbox: string;
  readonly correlationId: string;
  /** The number on the wire. */
  readonly ackPolicy: number;
  /** Concrete subject of the message. */
  readonly subject: string;
  readonly receptionTimestamp: bigint;
}

const writer = new ByteWriter();

// One object serves all acks: each is encoded before the next begins.
const ack: wire.Ack = {
  stream: '',
  partitionSubject: '',
  msgSubject: '',
  offset: 0n,
  ackInbox: '',
  correlationId: '',
  ackPolicy: 0,
  receptionTimestamp: 0n,
  commitTimestamp: 0n,
  ackError: 0,
};

/** An Ack in its envelope. `partitionSubject` is the subject of the stream, whatever the partition. */
export function encodeAck(
  stream: string,
  partitionSubject: string,
  request: AckRequest,
  offset: bigint,
  commitTimestamp: bigint,
  error: number,
): Buffer {
  ack.stream = stream;
  ack.partitionSubject = partitionSubject;
  ack.msgSubject = request.subject;
  ack.offset = offset;
  ack.ackInbox = request.ackInbox;
  ack.correlationId = request.correlationId;
  ack.ackPolicy = request.ackPolicy as wire.AckPolicy;
  ack.receptionTimestamp = request.receptionTimestamp;
  ack.commitTimestamp = commitTimestamp;
  ack.ackError = error as wire.Ack_Error;
  try {
    beginEnvelope(writer, ENVELOPE_ACK);
    encodeAckFields(writer, ack);
    return writer.take();
  } catch (error) {
    writer.truncate(0);
    throw error;
  }
}
