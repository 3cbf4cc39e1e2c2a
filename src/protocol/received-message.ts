import { isUtf8 } from 'node:buffer';
import { type InspectOptions, inspect } from 'node:util';
import { DeserializationError } from '../errors/error-classes.js';
import { messageOf } from '../errors/quote.js';
import { type AckPolicy, ackPolicyOf } from './ack-policy.js';
import { jsonFields } from './json.js';
import { eachMessageHeader, type MessageTarget } from './message.js';
import type { Message, MessageObject } from './public.js';

export type { Message } from './public.js';

const NANOSECONDS = 1_000_000n;

/**
 * Where the hot codec puts a message: all fields from the start, so that every message has the same hidden class. Its own
 * fields are those of `Message`; what is decoded later lies in private ones, which the codec reaches by accessors.
 */
export class ReceivedMessage implements Message, MessageTarget {
  stream = '';
  partition = 0;
  offset = 0n;
  timestamp = 0n;
  subject = '';
  replySubject = '';
  key: Buffer | null = null;
  value: Buffer | null = null;
  ackInbox = '';
  correlationId = '';
  ackPolicy: AckPolicy = 'leader';
  #source: Buffer | null = null;
  #headersStart = 0;
  #headersEnd = 0;
  #headers: Readonly<Record<string, Buffer>> | null = null;

  get time(): Date {
    return new Date(Number(this.timestamp / NANOSECONDS));
  }

  get headers(): Readonly<Record<string, Buffer>> {
    this.#headers ??= readHeaders(this);
    return this.#headers;
  }

  get source(): Buffer | null {
    return this.#source;
  }

  set source(source: Buffer | null) {
    this.#source = source;
  }

  get headersStart(): number {
    return this.#headersStart;
  }

  set headersStart(position: number) {
    this.#headersStart = position;
  }

  get headersEnd(): number {
    return this.#headersEnd;
  }

  set headersEnd(position: number) {
    this.#headersEnd = position;
  }

  set ackPolicyCode(code: number) {
    this.ackPolicy = ackPolicyOf(code);
  }

  text(): string {
    return this.value === null ? '' : this.value.toString('utf8');
  }

  json<T>(): T {
    try {
      return JSON.parse(this.text()) as T;
    } catch (cause) {
      throw damaged(this, 'its value is no JSON text', cause);
    }
  }

  toObject(): MessageObject {
    const { key, value, headers, time } = this;
    const copies: Record<string, Buffer> = {};
    for (const [name, bytes] of Object.entries(headers)) define(copies, name, copyOf(bytes));
    return { ...this, key: key && copyOf(key), value: value && copyOf(value), headers: copies, time };
  }

  /** As `Json` describes it. */
  toJSON(): Record<string, unknown> {
    const { headers, time } = this;
    return jsonFields([...Object.entries(this), ['headers', headers], ['time', time]]);
  }

  /** For logs: text where bytes are text, and only what is set. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `Message ${inspect(shown(this), options)}`;
  }
}

function shown(message: ReceivedMessage): Record<string, unknown> {
  const { stream, partition, offset, subject, replySubject, timestamp, time } = message;
  const { ackInbox, correlationId, ackPolicy } = message;
  return {
    ...(stream !== '' && { stream, partition }),
    offset,
    ...(subject !== '' && { subject }),
    ...(replySubject !== '' && { replySubject }),
    ...(ackInbox !== '' && { ackInbox }),
    ...(correlationId !== '' && { correlationId }),
    ...(ackPolicy !== 'leader' && { ackPolicy }),
    ...(timestamp !== 0n && { time }),
    key: readable(message.key),
    value: readable(message.value),
    headers: shownHeaders(message),
  };
}

/** What is looked at in a log may be damaged. */
function shownHeaders(message: ReceivedMessage): unknown {
  try {
    const headers: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(message.headers)) define(headers, name, readable(value));
    return headers;
  } catch (error) {
    return messageOf(error);
  }
}

function readHeaders(message: ReceivedMessage): Readonly<Record<string, Buffer>> {
  const headers: Record<string, Buffer> = Object.create(null);
  try {
    eachMessageHeader(message, (name, value) => {
      headers[name] = value;
    });
  } catch (cause) {
    throw damaged(message, 'its headers are damaged', cause);
  }
  return headers;
}

function damaged({ stream, partition, offset }: ReceivedMessage, what: string, cause: unknown): DeserializationError {
  const where = stream === '' ? 'message' : `message of stream "${stream}", partition ${partition}, offset ${offset}`;
  const context = stream === '' ? {} : { stream, partition, offset };
  return new DeserializationError(`${where}: ${what}: ${messageOf(cause)}`, { ...context, cause });
}

/** A copy with memory of its own: small buffers of the pool would take 8 KiB along when they are cloned. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

function readable(bytes: Buffer | null): string | Buffer | null {
  return bytes !== null && isUtf8(bytes) ? bytes.toString('utf8') : bytes;
}

/** Sets a property of any name, `__proto__` included. */
function define(record: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
}
