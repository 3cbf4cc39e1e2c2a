import type { LiftbridgeError } from '../errors.js';
import type { Ack } from '../protocol/generated/api.js';
import type { CorrelatedResponse } from '../protocol/publish-response.js';
import type { PendingPublish } from './partition-queue.js';
import type { WrittenPublishes } from './publish-stream.js';

/** The response that acknowledges a publish; the decoded response itself, so that an ack costs no further object. */
export interface AckResponse extends CorrelatedResponse<PendingPublish> {
  readonly pending: PendingPublish;
  readonly ack: Ack;
}

/** How publishes end, as the dispatcher reports it to the publisher. */
export type PublishOutcome =
  /** A broker has stored the publish. */
  | AckResponse
  /** The publishes ask for no ack, and the connection has taken them. */
  | WrittenPublishes<PendingPublish>
  /** One publish failed; its caller is told at once. */
  | { readonly kind: 'failed'; readonly pending: PendingPublish; readonly error: unknown }
  /**
   * Any number of publishes failed at the same time. They are settled at once, and their callers are told without blocking
   * the event loop.
   */
  | {
      readonly kind: 'all-failed';
      readonly pendings: readonly PendingPublish[];
      readonly errorOf: (pending: PendingPublish) => unknown;
    }
  /** A broker refused a publish that no caller waits for. */
  | { readonly kind: 'refused-unawaited'; readonly error: LiftbridgeError };

/** Takes the results of publishes. */
export type ReportOutcome = (result: PublishOutcome) => void;
