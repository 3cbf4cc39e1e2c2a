import type { ValueEncryption } from './encryption.js';
import { entrySize } from './entry-size.js';
import { encodeFrame, storedHeaders } from './frame.js';
import type { LogEntry } from './log-types.js';

/** Encodes a message for storage; returns the frame and its entry size. */
export function encodeEntry(
  { stream, partition }: { readonly stream: string; readonly partition: number },
  { key, value, headers, subject, reply, timestamp }: LogEntry,
  offset: number,
  encryption: ValueEncryption | null,
): { frame: Buffer; size: number } {
  const storedValue = encryption === null ? value : encryption.seal(value);
  const stored = storedHeaders(headers, subject, reply);
  const frame = encodeFrame({
    offset: BigInt(offset),
    key,
    value: storedValue,
    timestamp,
    stream,
    partition,
    subject,
    replySubject: reply,
    headers: stored,
    ackInbox: '',
    correlationId: '',
    ackPolicy: 0,
  });
  return { frame, size: entrySize(key?.length ?? 0, storedValue?.length ?? 0, stored) };
}
