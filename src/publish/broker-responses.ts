import { errorFromAckError, errorFromAsyncError, type LiftbridgeError } from '../errors.js';
import type { Ack, PublishAsyncError } from '../protocol/generated/api.js';
import type { CorrelatedResponse } from '../protocol/publish-response.js';
import { toAck } from '../protocol/received-ack.js';
import type { CorrelationIds } from './correlation-ids.js';
import type { PendingPublish } from './partition-queue.js';
import { contextOf, isUnknownPlace, repeatedOffsetError } from './publish-errors.js';
import type { AckResponse, ReportOutcome } from './publish-outcome.js';
import type { PublishStream } from './publish-stream.js';

/** Acks of other streams that a publish keeps at most. */
const MOST_OTHER_ACKS = 100;

/** What a response can lead to. */
export interface ResponseOwner {
  readonly report: ReportOutcome;
  /** A broker has acknowledged a publish (`stored`), or has refused it for good. */
  recordResponse(pending: PendingPublish, stored: boolean): void;
  /** Takes back a publish that may be stored later. False when the refusal is final. */
  takeBack(pending: PendingPublish, refusal: LiftbridgeError): boolean;
  /** The stream checks expected offsets. */
  noteConcurrencyControl(stream: string): void;
  /** The metadata of the stream may be out of date. */
  refresh(stream: string): void;
}

/** Decides what the responses of brokers mean for the publishes that they are about. */
export class BrokerResponses {
  readonly #owner: ResponseOwner;
  readonly #ids: CorrelationIds;

  constructor(owner: ResponseOwner, ids: CorrelationIds) {
    this.#owner = owner;
    this.#ids = ids;
  }

  /** Handles a response of the broker of a publish stream. */
  handle(publishStream: PublishStream<PendingPublish>, response: CorrelatedResponse<PendingPublish>): void {
    const { pending, ack, asyncError } = response;
    if (pending === null) {
      if (asyncError) this.#refusedUnawaited(publishStream, asyncError, response.correlationId);
    } else if (pending.settled) return;
    else if (asyncError) this.#refusedAtOnce(pending, errorFromAsyncError(asyncError, contextOf(pending)));
    else if (isAckOf(response, pending)) this.#acknowledged(response);
    else if (ack !== undefined) keepOtherAck(pending, ack);
  }

  #acknowledged(response: AckResponse): void {
    const { pending, ack } = response;
    const error = errorFromAckError(ack.ackError, contextOf(pending));
    if (error !== null) {
      this.#refused(pending, error);
      return;
    }
    this.#owner.recordResponse(pending, true);
    this.#recordOffset(pending, ack.offset);
    this.#owner.report(response);
  }

  /** Offsets that begin again belong to a new stream of the same name, which may have other partitions. */
  #recordOffset({ queue, offsetBefore, stream }: PendingPublish, offset: bigint): void {
    if (offset > queue!.newestOffset) queue!.newestOffset = offset;
    if (offset > offsetBefore) return;
    queue!.newestOffset = offset;
    this.#owner.refresh(stream);
  }

  /** The broker refused the publish before NATS, so it is certainly not stored. */
  #refusedAtOnce(pending: PendingPublish, error: LiftbridgeError): void {
    if (!this.#owner.takeBack(pending, error)) this.#refused(pending, error);
  }

  #refused(pending: PendingPublish, refusal: LiftbridgeError): void {
    this.#owner.recordResponse(pending, false);
    if (isUnknownPlace(refusal)) this.#owner.refresh(pending.stream);
    let error = refusal;
    if (refusal.code === 'INCORRECT_OFFSET') {
      this.#owner.noteConcurrencyControl(pending.stream);
      if (pending.attempts > 1) error = repeatedOffsetError(pending, refusal);
    }
    this.#owner.report({ kind: 'failed', pending, error });
  }

  /** The publish asked for no ack, or its caller does not wait for it any more. */
  #refusedUnawaited(publishStream: PublishStream<PendingPublish>, refusal: PublishAsyncError, id: string): void {
    const stream = this.#ids.streamOf(id);
    const error = errorFromAsyncError(refusal, { stream, broker: publishStream.target.id });
    if (stream !== undefined && isUnknownPlace(error)) this.#owner.refresh(stream);
    this.#owner.report({ kind: 'refused-unawaited', error });
  }
}

/** Whether the response is the ack of the stream that the publish went to. */
function isAckOf(response: CorrelatedResponse<PendingPublish>, pending: PendingPublish): response is AckResponse {
  return response.ack?.stream === pending.stream;
}

/** Keeps the ack of another stream on the subject, one for each stream. */
function keepOtherAck(pending: PendingPublish, ack: Ack): void {
  pending.otherAcks ??= [];
  const { otherAcks } = pending;
  if (otherAcks.length < MOST_OTHER_ACKS && !otherAcks.some(({ stream }) => stream === ack.stream))
    otherAcks.push(toAck(ack));
}
