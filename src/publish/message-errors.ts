import { InvalidArgumentError, type LiftbridgeError, MessageTooLargeError } from '../errors.js';

/** The error for bytes that were not copied and that another owner has taken before they were sent. */
export function transferredError(stream: string): LiftbridgeError {
  const message = `Publish to stream "${stream}" refused: the memory of its bytes was transferred to another owner while it waited. Nothing was sent.`;
  return new InvalidArgumentError(message, { stream, operation: 'Publish' });
}

/** The error for a message above the client's own limit. */
export function tooLargeError(stream: string, size: number, limit: number): LiftbridgeError {
  const message = `Publish to stream "${stream}" refused: the message takes ${size} bytes, maxMessageBytes is ${limit}. Nothing was sent.`;
  return new MessageTooLargeError(message, { stream, operation: 'Publish' });
}
