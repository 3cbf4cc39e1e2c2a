import { errorFromAckError, type LiftbridgeError } from '../errors.js';
import { ACK_ERRORS, type Ack } from '../protocol/received-ack.js';

/** The error that an ack reports, or null when the message was stored. `otherAcks` are those of streams that stored it. */
export function ackFailure(ack: Ack, operation: string, otherAcks: readonly Ack[]): LiftbridgeError | null {
  const context = { stream: ack.stream, operation };
  return errorFromAckError(ACK_ERRORS.indexOf(ack.error), otherAcks.length === 0 ? context : { ...context, otherAcks });
}
