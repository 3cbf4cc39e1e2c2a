import { isUtf8 } from 'node:buffer';
import { type InspectOptions, inspect } from 'node:util';
import { DeserializationError } from '../errors/error-classes.js';
import { messageOf } from '../errors/quote.js';
import { type AckPolicy, ackPolicyOf } from './ack-policy.js';
import { eachMessageHeader, type MessageTarget } from './message.js';
import type { Message } from './public.js';

export type { Message } from './public.js';

const NANOSECONDS = 1_000_000n;

/** Where the hot codec puts a message: all fields from the start, so that every message has the same hidden class. */
export class ReceivedMessage implements Message, MessageTarget {
  offset = 0n;
  key: Buffer | null = null;
  value: Buffer | null = null;
  timestamp = 0n;
  stream = '';
  partition = 0;
  subject = '';
  replySubject = '';
  ackInbox = '';
  correlationId = '';
  ackPolicyCode = 0;
  source: Buffer | null = null;
  headersStart = 0;
  headersEnd = 0;
  #headers: Readonly<Record<string, Buffer>> | null = null;

  get time(): Date {
    return new Date(Number(this.timestamp / NANOSECONDS));
  }

  get headers(): Readonly<Record<string, Buffer>> {
    this.#headers ??= readHeaders(this);
    return this.#headers;
  }

  get ackPolicy(): AckPolicy {
    return ackPolicyOf(this.ackPolicyCode);
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

  /** As `Json` describes it. */
  toJSON(): Record<string, unknown> {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(this.headers)) define(headers, name, value.toString('base64'));
    return {
      offset: String(this.offset),
      key: this.key?.toString('base64') ?? null,
      value: this.value?.toString('base64') ?? null,
      timestamp: String(this.timestamp),
      stream: this.stream,
      partition: this.partition,
      subject: this.subject,
      replySubject: this.replySubject,
      headers,
      ackInbox: this.ackInbox,
      correlationId: this.correlationId,
      ackPolicy: this.ackPolicy,
      time: this.time.toISOString(),
    };
  }

  /** For logs: text where bytes are text, and only what is set. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `Message ${inspect(shown(this), options)}`;
  }
}

function shown(message: ReceivedMessage): Record<string, unknown> {
  const { stream, partition, offset, subject, replySubject, ackInbox, correlationId, timestamp, time } = message;
  return {
    ...(stream !== '' && { stream, partition }),
    offset,
    ...(subject !== '' && { subject }),
    ...(replySubject !== '' && { replySubject }),
    ...(ackInbox !== '' && { ackInbox }),
    ...(correlationId !== '' && { correlationId }),
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

function readable(bytes: Buffer | null): string | Buffer | null {
  return bytes !== null && isUtf8(bytes) ? bytes.toString('utf8') : bytes;
}

/** Sets a property of any name, `__proto__` included. */
function define(record: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
}
