import { ByteWriter, beginEnvelope, ENVELOPE_MESSAGE, encodeMessage, type wire } from 'liftbridge-client/protocol';

/** The fields of a request that describe the message. */
type Published = Pick<
  wire.PublishRequest,
  'key' | 'value' | 'stream' | 'headers' | 'correlationId' | 'ackPolicy' | 'expectedOffset'
>;

const writer = new ByteWriter();

/**
 * The envelope that a broker publishes on NATS for a request. It holds neither the partition nor a time, and the
 * expected offset takes the place of the offset.
 */
export function publishEnvelope(request: Published, subject: string, ackInbox: string): Buffer {
  const { key, value, stream, headers, correlationId, ackPolicy, expectedOffset } = request;
  try {
    beginEnvelope(writer, ENVELOPE_MESSAGE);
    // Field by field: spreading an object here would cost more than the rest of a publish.
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
