import { errorFromAckError, type LiftbridgeError } from '../errors.js';
import { ACK_ERRORS, type Ack } from '../protocol/received-ack.js';

/** The error that an ack reports, or null when the message was stored. */
export function ackFailure(ack: Ack, operation: string): LiftbridgeError | null {
  return errorFromAckError(ACK_ERRORS.indexOf(ack.error), { stream: ack.stream, operation });
}
