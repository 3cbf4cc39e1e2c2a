import { inCallerContext } from '../async/caller-context.js';
import { ackPolicyCode } from '../protocol/ack-policy.js';
import type { CorrelationIds } from './correlation-ids.js';
import { tooLargeError } from './message-errors.js';
import type { Generation, PendingPublish, Settle } from './partition-queue.js';
import { type PublishOptions, toBytes, toHeaders, type Value } from './publish-options.js';

/** Bytes of a message beside its key, value and headers: an estimate for tags, ids and names. */
const OVERHEAD = 64;
const NO_EXPECTATION = -1n;

/** What all publishes of a publisher share; bytes and milliseconds. */
interface RecordDefaults {
  readonly maxMessageBytes: number;
  readonly ackTimeout: number;
}

/** Makes the records of publishes, numbered in the order of the calls. */
export class PublishRecords {
  readonly #ids: CorrelationIds;
  readonly #defaults: RecordDefaults;
  #count = 0;

  constructor(ids: CorrelationIds, defaults: RecordDefaults) {
    this.#ids = ids;
    this.#defaults = defaults;
  }

  /**
   * The record of a call, whose arguments have been checked. Null for a message that is too large, after `settle` was called with the
   * error. Throws InvalidArgumentError for a correlation id that is in flight.
   */
  create(
    where: string,
    stream: string,
    value: Value,
    options: PublishOptions,
    generation: Generation,
    settle: Settle,
  ): PendingPublish | null {
    const body = toBytes(value);
    const key = toBytes(options.key);
    const headers = toHeaders(options.headers);
    const { maxMessageBytes, ackTimeout } = this.#defaults;
    let size = (body?.length ?? 0) + (key?.length ?? 0);
    if (headers !== null) for (const [header, content] of headers) size += header.length + content.length + 8;
    if (size > maxMessageBytes) {
      settle(tooLargeError(stream, size, maxMessageBytes), null);
      return null;
    }
    const ackPolicy = ackPolicyCode(options.ackPolicy ?? 'leader');
    const { expectedOffset: expected, correlationId: chosen } = options;
    const number = this.#count++;
    // One literal with every property: all records have the same shape, and a publish makes no object beside its record.
    return {
      stream,
      key,
      value: body,
      headers,
      ackInbox: options.ackInbox ?? '',
      correlationId: chosen ? this.#ids.choose(where, chosen) : this.#ids.generate(number, ackPolicy, stream),
      number,
      chosenId: Boolean(chosen),
      ackPolicy,
      expectedOffset: expected === undefined ? NO_EXPECTATION : BigInt(expected),
      fixedPartition: options.partition ?? null,
      partitioner: options.partitioner === undefined ? null : inCallerContext(options.partitioner),
      bytes: OVERHEAD + size,
      timeout: options.timeout ?? ackTimeout,
      generation,
      settle,
      signal: options.signal ?? null,
      settled: false,
      admitted: false,
      sent: false,
      attempts: 0,
      responsesBefore: 0,
      offsetBefore: -1n,
      partition: 0,
      queue: null,
      publishStream: null,
      deadline: Number.NaN, // set later to a fraction: an integer here would make V8 change the shape
      earlier: null,
      later: null,
      otherAcks: null,
      lastError: null,
      errorOf: null,
    };
  }
}
