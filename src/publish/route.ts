import type { BrokerTarget, Cluster } from '../cluster/contract.js';
import { type LiftbridgeError, MessageTooLargeError } from '../errors.js';
import type { ByteWriter } from '../protocol/byte-writer.js';
import type { PublishResponse } from '../protocol/generated/api.js';
import { encodePublishRequest } from '../protocol/publish-request.js';
import { decodePublishResponse } from '../protocol/publish-response.js';
import type { DuplexStream } from '../transport/duplex.js';
import type { StreamEnd } from '../transport/stream-end.js';
import type { PartitionLane } from './lanes.js';
import type { Pending } from './pending.js';

const FIRST_BACKOFF = 50;
const LONGEST_BACKOFF = 5_000;
/** Bytes that may wait for the connection before a publish that nobody acknowledges has to wait too. */
const UNWRITTEN = 1024 * 1024;

/** What a route tells its owner. */
export interface RouteEvents {
  /** The stream is open, or failed to open: the lanes that wait for it have to go on. */
  settled(route: Route): void;
  response(route: Route, response: PublishResponse): void;
  /** The stream ended; `lost` are the publishes in flight, in the order in which they were sent. */
  ended(route: Route, end: StreamEnd, lost: readonly Pending[]): void;
}

/** The PublishAsync stream to one broker, opened on demand, again and again. */
export class Route {
  /** Sent and neither acknowledged nor given up, by correlation id, in the order of sending. */
  readonly inFlight = new Map<string, Pending>();
  /** Lanes that want to send as soon as the stream is open. */
  readonly waiting = new Set<PartitionLane>();
  /** No use trying before this time, as of `Date.now()`. */
  blockedUntil = 0;
  /** Why it could not be opened, or how it ended, last. */
  lastError: unknown = null;
  #stream: DuplexStream | null = null;
  #opening = false;
  #retired = false;
  #failures = 0;
  #current: Pending | null = null;
  readonly #encode = (writer: ByteWriter): void => this.#encodeCurrent(writer);

  constructor(
    readonly target: BrokerTarget,
    private readonly cluster: Cluster,
    private readonly maxMessageBytes: number,
    private readonly events: RouteEvents,
  ) {}

  /** Whether it can be written to now. */
  get usable(): boolean {
    return !this.#retired && this.#stream?.writable === true;
  }

  /** True once it takes nothing new: the broker is going away, or the publisher is. */
  get retired(): boolean {
    return this.#retired;
  }

  /** Starts to open the stream, unless it is open or on its way; `events.settled` tells the outcome. */
  open(): void {
    if (this.#opening || this.#stream !== null || this.#retired) return;
    this.#opening = true;
    this.#connect().then(
      () => this.#opened(),
      (error: unknown) => this.#failed(error),
    );
  }

  /** Adds a publish to the stream. Throws MessageTooLargeError, with nothing added. */
  write(pending: Pending): void {
    this.#current = pending;
    try {
      this.#stream!.write(this.#encode);
    } finally {
      this.#current = null;
    }
  }

  /** Resolves when what was written is on its way, as far as flow control lets it; null when it is already. */
  written(): Promise<void> | null {
    const stream = this.#stream;
    return stream === null || stream.pendingBytes < UNWRITTEN ? null : stream.drained(UNWRITTEN / 2);
  }

  /** Sends nothing more; acknowledgements of what was sent may still come. */
  retire(): void {
    this.#retired = true;
    this.#stream?.halfClose();
  }

  /** Ends the stream now. */
  cancel(): void {
    this.#retired = true;
    this.#stream?.cancel('publisher closed');
  }

  /** Resolves when the stream has ended; at once when there is none. */
  async ended(): Promise<void> {
    await this.#stream?.ended;
  }

  async #connect(): Promise<void> {
    const session = await this.cluster.session(this.target);
    const stream = session.open('/proto.API/PublishAsync');
    this.#stream = stream;
    session.onClose(() => this.retire());
    stream.onFrames((source, start, end) => {
      this.#failures = 0;
      this.events.response(this, decodePublishResponse(source, start, end));
    });
    void stream.ended.then((end) => this.#ended(end));
  }

  #opened(): void {
    this.#opening = false;
    this.events.settled(this);
  }

  #failed(error: unknown): void {
    this.#opening = false;
    this.lastError = error;
    this.#block();
    this.events.settled(this);
  }

  #ended(end: StreamEnd): void {
    this.#stream = null;
    const lost = [...this.inFlight.values()];
    this.inFlight.clear();
    if (end.code !== 0) this.#block();
    this.events.ended(this, end, lost);
  }

  #block(): void {
    const backoff = Math.min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** Math.min(this.#failures, 10));
    this.#failures++;
    // Clients that lost the same broker at the same time should not all come back at the same time.
    this.blockedUntil = Date.now() + backoff * (0.5 + Math.random() / 2);
  }

  #encodeCurrent(writer: ByteWriter): void {
    const before = writer.length;
    const pending = this.#current!;
    encodePublishRequest(writer, pending);
    const size = writer.length - before;
    if (size > this.maxMessageBytes) throw tooLarge(pending.stream, size, this.maxMessageBytes);
  }
}

/** The error for a message above the client's own limit. */
export function tooLarge(stream: string, size: number, limit: number): LiftbridgeError {
  const message = `Publish to stream "${stream}" refused: the message takes ${size} bytes, maxMessageBytes is ${limit}. Nothing was sent.`;
  return new MessageTooLargeError(message, { stream, operation: 'Publish' });
}
