import type { ByteWriter } from './byte-writer.js';
import type { Ack, Ack_Error, AckPolicy } from './generated/api.js';
import { RecentText, type TextSource, type WireReader } from './wire-reader.js';

/** Writes the fields of an Ack, in field order and without defaults, as the server does. */
export function encodeAckFields(writer: ByteWriter, ack: Ack): void {
  if (ack.stream !== '') text(writer, 0x0a, ack.stream);
  if (ack.partitionSubject !== '') text(writer, 0x12, ack.partitionSubject);
  if (ack.msgSubject !== '') text(writer, 0x1a, ack.msgSubject);
  if (ack.offset !== 0n) long(writer, 0x20, ack.offset);
  if (ack.ackInbox !== '') text(writer, 0x2a, ack.ackInbox);
  if (ack.correlationId !== '') text(writer, 0x32, ack.correlationId);
  if (ack.ackPolicy !== 0) number(writer, 0x38, ack.ackPolicy);
  if (ack.receptionTimestamp !== 0n) long(writer, 0x40, ack.receptionTimestamp);
  if (ack.commitTimestamp !== 0n) long(writer, 0x48, ack.commitTimestamp);
  if (ack.ackError !== 0) number(writer, 0x50, ack.ackError);
}

function text(writer: ByteWriter, tag: number, value: string): void {
  writer.byte(tag);
  writer.string(value);
}

function long(writer: ByteWriter, tag: number, value: bigint): void {
  writer.byte(tag);
  writer.int64(value);
}

function number(writer: ByteWriter, tag: number, value: number): void {
  writer.byte(tag);
  writer.int32(value);
}

const recent = {
  stream: new RecentText(),
  partitionSubject: new RecentText(),
  msgSubject: new RecentText(),
  ackInbox: new RecentText(),
};

/** Reads an Ack out of what the reader is open on. `ids` may know its correlation id. */
export function decodeAckFields(reader: WireReader, strict = false, ids?: TextSource): Ack {
  const ack: Ack = {
    stream: '',
    partitionSubject: '',
    msgSubject: '',
    offset: 0n,
    ackInbox: '',
    correlationId: '',
    ackPolicy: 0,
    receptionTimestamp: 0n,
    commitTimestamp: 0n,
    ackError: 0,
  };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 0x0a:
        ack.stream = reader.string(strict, recent.stream);
        break;
      case 0x12:
        ack.partitionSubject = reader.string(strict, recent.partitionSubject);
        break;
      case 0x1a:
        ack.msgSubject = reader.string(strict, recent.msgSubject);
        break;
      case 0x20:
        ack.offset = reader.int64();
        break;
      case 0x2a:
        ack.ackInbox = reader.string(strict, recent.ackInbox);
        break;
      case 0x32:
        ack.correlationId = reader.string(strict, ids);
        break;
      case 0x38:
        ack.ackPolicy = reader.int32() as AckPolicy;
        break;
      case 0x40:
        ack.receptionTimestamp = reader.int64();
        break;
      case 0x48:
        ack.commitTimestamp = reader.int64();
        break;
      case 0x50:
        ack.ackError = reader.int32() as Ack_Error;
        break;
      default:
        reader.skip(tag);
    }
  }
  return ack;
}
