import type { Socket } from 'node:net';
import { setImmediate } from '../timers.js';
import type { Congestion, Fillable } from './congestion.js';

/** Blocks grow to this size, so that an idle client costs little and a busy one few allocations. */
const MAX_BLOCK_BYTES = 65_536;
const FIRST_BLOCK_BYTES = 1_024;
/** A payload from this size on is written without a copy. */
const MIN_UNCOPIED_BYTES = 16_384;
/** With this many bytes waiting, the socket receives them before the turn is over. */
const EARLY_FLUSH_BYTES = 262_144;
const LINE_END = Buffer.from('\r\n');

/**
 * The output of one client. All bytes written in one turn of the event loop leave in one write; a client that does not
 * read makes the outbox overflow.
 */
export class Outbox implements Fillable {
  readonly #socket: Socket;
  readonly #limit: number;
  readonly #congestion: Congestion;
  readonly #onOverflow: () => void;
  #block = Buffer.alloc(0);
  #nextBlock = FIRST_BLOCK_BYTES;
  /** The filled part of the block that is not in `#ready` yet. */
  #start = 0;
  #end = 0;
  #ready: Buffer[] = [];
  #waiting = 0;
  #scheduled = false;
  #closed = false;

  /**
   * `onOverflow` is called once, when more than `limit` bytes wait for the client; `congestion` is notified at half of
   * it.
   */
  constructor(socket: Socket, limit: number, congestion: Congestion, onOverflow: () => void) {
    this.#socket = socket;
    this.#limit = limit;
    this.#congestion = congestion;
    this.#onOverflow = onOverflow;
  }

  get congested(): boolean {
    return !this.#closed && this.#pending > this.#limit / 2;
  }

  /** Writes protocol text. */
  text(text: string): void {
    if (this.#closed) return;
    this.#reserve(text.length * 3);
    this.#append(text);
    this.#written();
  }

  /** Writes a line, the parts of a payload and a line end. */
  message(line: string, headers: Buffer | undefined, data: Buffer): void {
    if (this.#closed) return;
    this.#reserve(line.length * 3);
    this.#append(line);
    if (headers !== undefined) this.#bytes(headers);
    this.#bytes(data);
    this.#bytes(LINE_END);
    this.#written();
  }

  /** Passes all bytes to the socket now. */
  flush(): void {
    this.#scheduled = false;
    this.#cut();
    const ready = this.#ready;
    if (ready.length === 0 || this.#closed) return;
    this.#ready = [];
    this.#waiting = 0;
    if (ready.length === 1) {
      this.#socket.write(ready[0]!);
      return;
    }
    this.#socket.cork();
    for (const part of ready) this.#socket.write(part);
    this.#socket.uncork();
  }

  /** Discards all waiting bytes. */
  close(): void {
    this.#closed = true;
    this.#ready = [];
    this.#block = Buffer.alloc(0);
    this.#start = 0;
    this.#end = 0;
  }

  #reserve(length: number): void {
    if (this.#block.length - this.#end >= length) return;
    this.#cut();
    this.#block = Buffer.allocUnsafeSlow(Math.max(this.#nextBlock, length));
    this.#nextBlock = Math.min(MAX_BLOCK_BYTES, 2 * this.#nextBlock);
    this.#start = 0;
    this.#end = 0;
  }

  #append(text: string): void {
    const written = this.#block.write(text, this.#end, 'utf8');
    this.#end += written;
    this.#waiting += written;
  }

  #bytes(bytes: Buffer): void {
    this.#waiting += bytes.length;
    if (bytes.length >= MIN_UNCOPIED_BYTES) {
      this.#cut();
      this.#ready.push(bytes);
      return;
    }
    this.#reserve(bytes.length);
    bytes.copy(this.#block, this.#end);
    this.#end += bytes.length;
  }

  /** Moves the content of the block to the parts that are ready. */
  #cut(): void {
    if (this.#end === this.#start) return;
    this.#ready.push(this.#block.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  get #pending(): number {
    return this.#waiting + this.#socket.writableLength;
  }

  #written(): void {
    const pending = this.#pending;
    if (pending > this.#limit) {
      this.close();
      this.#onOverflow();
      return;
    }
    if (pending > this.#limit / 2) this.#congestion.note(this);
    if (this.#waiting >= EARLY_FLUSH_BYTES) this.flush();
    if (this.#scheduled || this.#waiting === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.flush());
  }
}
