import {
  ByteWriter,
  beginEnvelope,
  ENVELOPE_MESSAGE,
  encodeMessage,
  type HeaderEntries,
  type wire,
} from 'liftbridge-client/protocol';

/** What a broker puts on NATS for a publish that it was called for. */
export interface PublishedFields {
  /** The expected offset. */
  readonly offset: bigint;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly stream: string;
  readonly subject: string;
  readonly headers: HeaderEntries;
  readonly ackInbox: string;
  readonly correlationId: string;
  readonly ackPolicy: wire.AckPolicy;
}

const writer = new ByteWriter();

/** The envelope of a message. Neither the partition nor any time is in it. */
export function publishEnvelope(fields: PublishedFields): Buffer {
  try {
    beginEnvelope(writer, ENVELOPE_MESSAGE);
    encodeMessage(writer, { ...fields, timestamp: 0n, partition: 0, replySubject: '' });
    return writer.take();
  } catch (error) {
    writer.truncate(0);
    throw error;
  }
}
