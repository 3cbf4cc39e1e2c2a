import type { Msg, MsgHdrs } from 'nats';
import type { BusMessage } from './bus.js';

/** A message of the `nats` package as a message of the bus. */
export function busMessage(message: Msg): BusMessage {
  const { subject, data, headers } = message;
  const received = {
    subject,
    reply: message.reply ?? '',
    data: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  };
  return headers === undefined ? received : { ...received, headers: headerBlock(headers) };
}

/** The headers in their wire format; the package only provides them parsed. */
function headerBlock(headers: MsgHdrs): Buffer {
  const status = headers.code > 0 ? ` ${`${headers.code} ${headers.description}`.trim()}` : '';
  const lines = headers.keys().flatMap((key) => headers.values(key).map((value) => `${key}: ${value}\r\n`));
  return Buffer.from(`NATS/1.0${status}\r\n${lines.join('')}\r\n`);
}
