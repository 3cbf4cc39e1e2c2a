import { ByteWriter, beginEnvelope, ENVELOPE_MESSAGE, encodeMessage, type wire } from 'liftbridge-client/protocol';

/** What a request says of the message itself. */
type Published = Pick<
  wire.PublishRequest,
  'key' | 'value' | 'stream' | 'headers' | 'correlationId' | 'ackPolicy' | 'expectedOffset'
>;

const writer = new ByteWriter();

/**
 * What a broker puts on NATS for a publish that it was called for. Neither the partition nor any time is in it, and the
 * expected offset stands where the offset will be.
 */
export function publishEnvelope(request: Published, subject: string, ackInbox: string): Buffer {
  const { key, value, stream, headers, correlationId, ackPolicy, expectedOffset } = request;
  try {
    beginEnvelope(writer, ENVELOPE_MESSAGE);
    // Field by field: spreading an object here would cost more than all the rest of a publish.
    encodeMessage(writer, {
      offset: expectedOffset,
      key,
      value,
      timestamp: 0n,
      stream,
      partition: 0,
      subject,
      replySubject: '',
      headers,
      ackInbox,
      correlationId,
      ackPolicy,
    });
    return writer.take();
  } catch (error) {
    writer.truncate(0);
    throw error;
  }
}
