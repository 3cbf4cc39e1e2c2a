import { BusError } from './bus.js';
import type { PublishTarget } from './subjects.js';

/** A message with its subject and reply as they go on the wire. */
export interface OutgoingMessage extends PublishTarget {
  readonly data: Uint8Array;
}

/** Messages that wait for a lost connection. The `nats` package would drop them at each attempt to reconnect. */
export class DelayedMessages {
  readonly #maxBytes: number;
  #messages: OutgoingMessage[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Throws BusError when the messages would take more than the maximum. */
  add(message: OutgoingMessage): void {
    if (this.#bytes + message.data.length > this.#maxBytes) throw new BusError('nats: outbound buffer limit exceeded');
    this.#bytes += message.data.length;
    this.#messages.push(message);
  }

  /** Removes and returns all messages, oldest first. */
  takeAll(): readonly OutgoingMessage[] {
    const messages = this.#messages;
    this.#messages = [];
    this.#bytes = 0;
    return messages;
  }
}
