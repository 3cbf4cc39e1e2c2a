import {
  ByteWriter,
  beginFrame,
  ENVELOPE_ACK,
  encodePublishResponse,
  endFrame,
  readEnvelope,
  WireError,
  WireReader,
  wire,
} from 'liftbridge-client/protocol';
import type { StreamCall } from '../grpc/service.js';
import { queueMicrotask } from '../timers.js';

const { BAD_REQUEST, ENCRYPTION_FAILED, INCORRECT_OFFSET, UNKNOWN } = wire.PublishAsyncError_Code;

const NACKS: Readonly<Record<number, wire.PublishAsyncError>> = {
  [wire.Ack_Error.INCORRECT_OFFSET]: { code: INCORRECT_OFFSET, message: 'incorrect expected offset' },
  [wire.Ack_Error.TOO_LARGE]: { code: BAD_REQUEST, message: 'message exceeds max replication size' },
  [wire.Ack_Error.ENCRYPTION]: { code: ENCRYPTION_FAILED, message: 'encryption failed on partition' },
};
const UNKNOWN_ERROR: wire.PublishAsyncError = { code: UNKNOWN, message: 'unknown error' };

const CORRELATION_ID = 0x32;
const ACK_ERROR = 0x50;
const RESPONSE_ACK = 0x0a;
const RESPONSE_CORRELATION_ID = 0x1a;

/** The server sends an empty ack with every error. */
const EMPTY_ACK = wire.Ack.create();

/** The responses of a PublishAsync stream: one write sends all responses of a turn of the event loop. */
export class AckStream {
  readonly #call: StreamCall;
  readonly #writer = new ByteWriter();
  readonly #reader = new WireReader();
  #scheduled = false;
  #full = false;

  constructor(call: StreamCall) {
    this.#call = call;
  }

  /** Whether the client does not read its responses. */
  get full(): boolean {
    return this.#full;
  }

  /** Sends the ack of an ack envelope; returns false, and sends nothing, when the data is no ack. */
  ack(data: Buffer): boolean {
    const start = readEnvelope(data, ENVELOPE_ACK);
    if (start < 0) return false;
    try {
      this.#answer(data, start);
    } catch (error) {
      if (error instanceof WireError) return false;
      throw error;
    }
    this.#schedule();
    return true;
  }

  /** Sends the refusal of a message. */
  error(correlationId: string, asyncError: wire.PublishAsyncError): void {
    const opened = beginFrame(this.#writer);
    encodePublishResponse(this.#writer, { ack: EMPTY_ACK, asyncError, correlationId });
    endFrame(this.#writer, opened);
    this.#schedule();
  }

  /** Writes the pending responses. */
  flush(): void {
    this.#scheduled = false;
    if (this.#writer.length > 0) this.#full = !this.#call.write(this.#writer.take());
  }

  /** Sends the received bytes of an ack: only its id and its error have to be found in them. */
  #answer(data: Buffer, start: number): void {
    const reader = this.#reader;
    reader.open(data, start, data.length);
    let error = 0;
    let idStart = 0;
    let idEnd = 0;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === CORRELATION_ID) {
        const size = reader.length();
        idStart = reader.position;
        idEnd = reader.position += size;
      } else if (tag === ACK_ERROR) error = reader.int32();
      else reader.skip(tag);
    }
    if (error !== 0) this.error(data.toString('utf8', idStart, idEnd), NACKS[error] ?? UNKNOWN_ERROR);
    else this.#copy(data, start, idStart, idEnd);
  }

  #copy(data: Buffer, start: number, idStart: number, idEnd: number): void {
    const writer = this.#writer;
    const opened = beginFrame(writer);
    writer.byte(RESPONSE_ACK);
    writer.bytes(data.subarray(start));
    if (idEnd > idStart) {
      writer.byte(RESPONSE_CORRELATION_ID);
      writer.bytes(data.subarray(idStart, idEnd));
    }
    endFrame(writer, opened);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.flush());
  }
}
