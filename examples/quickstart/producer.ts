import { type Client, type ErrorCode, LiftbridgeError } from 'liftbridge-client';
import { UserError } from './user-error.js';

/** A message with its place in the partition. */
interface Outgoing {
  readonly offset: number;
  readonly key: string | null;
  readonly value: Buffer;
}

/** What is on its way while a leader falls is lost: no use waiting for long. */
const ACK_TIMEOUT = 1_000;
const RETRY_PAUSE = 50;
const GIVE_UP_AFTER = 60_000;
/** What another attempt ends in as well. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'MESSAGE_TOO_LARGE',
  'INVALID_ARGUMENT',
  'PERMISSION_DENIED',
  'ENCRYPTION',
]);

/**
 * Publishes to one partition so that every message is stored exactly once and in order, whatever breaks on the way.
 * The stream has optimistic concurrency control: message n is only taken at offset n. After a failure the log itself
 * tells how far it came, and the producer goes on from there.
 */
export class PartitionProducer {
  /** Publishes that failed and were settled by looking at the log. */
  recoveries = 0;
  readonly #client: Client;
  readonly #stream: string;
  readonly #partition: number;
  readonly #limit: number;
  readonly #onAck: (count: number) => void;
  /** Everything that is not known to be stored, in order. */
  #unacknowledged: Outgoing[] = [];
  #next = 0;
  #failed = false;
  /** Why the message can never be stored, and so none behind it. */
  #refusal: UserError | null = null;
  #inFlight = 0;
  #wake: (() => void) | null = null;

  constructor(client: Client, stream: string, partition: number, limit: number, onAck: (count: number) => void) {
    this.#client = client;
    this.#stream = stream;
    this.#partition = partition;
    this.#limit = limit;
    this.#onAck = onAck;
  }

  /** Publishes the next message; waits when too many are under way. */
  async publish(key: string | null, value: Buffer): Promise<void> {
    while (this.#failed || this.#unacknowledged.length >= this.#limit) await this.#settle(this.#limit - 1);
    const outgoing = { offset: this.#next++, key, value };
    this.#unacknowledged.push(outgoing);
    this.#send(outgoing);
  }

  /** Resolves when everything is stored. */
  async finish(): Promise<void> {
    while (this.#failed || this.#unacknowledged.length > 0) await this.#settle(0);
  }

  #send({ offset, key, value }: Outgoing): void {
    this.#inFlight++;
    const options = {
      partition: this.#partition,
      ackPolicy: 'all',
      expectedOffset: offset,
      timeout: ACK_TIMEOUT,
      ...(key !== null && { key }),
    } as const;
    this.#client.publishAsync(
      this.#stream,
      value,
      (error) => {
        this.#inFlight--;
        if (error === null) this.#stored(offset + 1);
        else {
          this.#failed = true;
          if (FINAL.has(error.code)) this.#refusal ??= refusalOf(offset, value, error);
        }
        this.#wake?.();
      },
      options,
    );
  }

  /** Everything below `offset` is in the log. */
  #stored(offset: number): void {
    const first = this.#unacknowledged[0];
    if (first === undefined || offset <= first.offset) return;
    const count = offset - first.offset;
    this.#unacknowledged.splice(0, count);
    this.#onAck(count);
  }

  async #settle(below: number): Promise<void> {
    while (this.#inFlight > 0 && (this.#failed || this.#unacknowledged.length > below)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#refusal !== null) throw this.#refusal;
    if (this.#failed) await this.#recover();
  }

  async #recover(): Promise<void> {
    this.recoveries++;
    const newest = await this.#newestOffset();
    this.#stored(newest + 1);
    this.#failed = false;
    for (const outgoing of this.#unacknowledged) this.#send(outgoing);
  }

  async #newestOffset(): Promise<number> {
    const deadline = Date.now() + GIVE_UP_AFTER;
    for (;;) {
      try {
        const { newestOffset } = await this.#client.fetchPartitionMetadata(this.#stream, this.#partition);
        return Number(newestOffset);
      } catch (error) {
        if (Date.now() > deadline || LiftbridgeError.is(error, 'CLOSED')) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE));
      }
    }
  }
}

function refusalOf(offset: number, value: Buffer, error: LiftbridgeError): UserError {
  const what = `message ${offset} of a partition, of ${value.length.toLocaleString('en')} bytes, cannot be stored`;
  return new UserError(`${what}: ${error.message}`);
}
