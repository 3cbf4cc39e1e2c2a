import { decodePublishRequest, wire } from 'liftbridge-client/protocol';
import type { BrokerNode } from '../cluster/contract.js';
import type { Authorize } from '../grpc/authorization.js';
import type { DuplexCall, Method } from '../grpc/service.js';
import { RpcError } from '../grpc/status.js';
import type { BusSubscription } from '../nats/bus.js';
import { AckStream } from './ack-stream.js';
import { ackInboxOf } from './publish.js';
import { findTarget, type PublishTarget, type Refusal, refusalOf } from './publish-checks.js';
import { publishEnvelope } from './publish-envelope.js';
import { pausedPartitions, resume } from './resume.js';

const LONGEST_DRAIN = 5_000;

const { INTERNAL, PERMISSION_DENIED } = wire.PublishAsyncError_Code;

/** PublishAsync. */
export function publishAsyncMethods(node: BrokerNode, authorize: Authorize): Record<string, Method> {
  return { PublishAsync: { kind: 'duplex', handle: (call) => new PublishSession(node, authorize, call).run() } };
}

/**
 * One PublishAsync stream. The messages of a chunk are handled in one go, and nothing on that way makes a promise
 * unless a partition has to be resumed first, which holds up all that comes behind.
 */
class PublishSession {
  readonly #node: BrokerNode;
  readonly #authorize: Authorize;
  readonly #call: DuplexCall;
  readonly #inbox: string;
  readonly #answers: AckStream;
  /** Published with an ack wanted, less acks received. Another stream's ack counts too, as in the server. */
  #inFlight = 0;
  #drained: (() => void) | null = null;
  #target: PublishTarget | null = null;

  constructor(node: BrokerNode, authorize: Authorize, call: DuplexCall) {
    this.#node = node;
    this.#authorize = authorize;
    this.#call = call;
    this.#inbox = ackInboxOf(node);
    this.#answers = new AckStream(call);
  }

  async run(): Promise<void> {
    const subscription = this.#subscribe();
    try {
      const failure = this.#receive();
      await Promise.race([this.#call.received, failure]);
      await this.#drain();
    } finally {
      subscription.unsubscribe();
      this.#answers.flush();
    }
  }

  #subscribe(): BusSubscription {
    return this.#node.bus.subscribe(this.#inbox, ({ data }) => {
      if (!this.#answers.ack(data)) return;
      if (this.#inFlight > 0) this.#inFlight--;
      if (this.#inFlight === 0) this.#drained?.();
    });
  }

  /** Rejects when a message cannot be read, which ends the call. */
  #receive(): Promise<never> {
    return new Promise((_, fail) => {
      let failed = false;
      this.#call.onMessages((payloads) => {
        if (failed) return;
        const stop = (error: unknown) => {
          failed = true;
          fail(error);
        };
        try {
          return this.#handleAll(payloads)?.catch(stop);
        } catch (error) {
          stop(error);
        }
      });
    });
  }

  #handleAll(payloads: readonly Buffer[], from = 0): Promise<void> | undefined {
    // What is known of the stream holds for one chunk: in between it may be deleted and created again.
    this.#target = null;
    for (let i = from; i < payloads.length; i++) {
      const resuming = this.#handle(payloads[i]!);
      if (resuming !== undefined) return resuming.then(() => this.#handleAll(payloads, i + 1));
    }
    return this.#answers.full ? this.#call.drained() : undefined;
  }

  #handle(payload: Buffer): Promise<void> | undefined {
    const request = decodePublishRequest(payload);
    this.#checkPermission(request);
    const target = this.#find(request);
    if ('code' in target) {
      this.#refuse(request, target);
      return;
    }
    const refusal = refusalOf(this.#node, target, request.ackPolicy);
    if (refusal) {
      this.#refuse(request, refusal);
      return;
    }
    const paused = pausedPartitions(target.stream, request.partition);
    if (paused.length > 0) return this.#resumeAndPublish(request, target, paused);
    this.#publish(request, target);
    return;
  }

  /** The real server says that it is not allowed, and publishes the message all the same. */
  #checkPermission(request: wire.PublishRequest): void {
    try {
      this.#authorize(this.#call, request.stream, 'Publish');
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      this.#refuse(request, { code: PERMISSION_DENIED, message: error.message });
    }
  }

  #find(request: wire.PublishRequest): PublishTarget | Refusal {
    const known = this.#target;
    if (known && known.stream.name === request.stream && known.partition.id === request.partition) return known;
    const found = findTarget(this.#node, request.stream, request.partition);
    if (!('code' in found)) this.#target = found;
    return found;
  }

  async #resumeAndPublish(
    request: wire.PublishRequest,
    target: PublishTarget,
    paused: readonly number[],
  ): Promise<void> {
    try {
      await resume(this.#node, request.stream, paused, this.#call.deadline);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      this.#refuse(request, { code: INTERNAL, message: `failed to resume stream: ${error.message}` });
      return;
    }
    this.#publish(request, target);
  }

  #publish(request: wire.PublishRequest, { partition: { subject } }: PublishTarget): void {
    // Counted before it is known whether NATS takes it, as in the server: a refused one delays the close.
    if (request.ackPolicy !== wire.AckPolicy.NONE) this.#inFlight++;
    try {
      this.#node.bus.publish(subject, publishEnvelope(request, subject, this.#inbox));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#refuse(request, { code: INTERNAL, message: `failed to publish to NATS: ${reason}` });
    }
  }

  #refuse(request: wire.PublishRequest, { code, message }: Pick<Refusal, 'code' | 'message'>): void {
    this.#answers.error(request.correlationId, { code, message });
  }

  /** The client sends no more: what is in flight gets a while to be acknowledged. */
  #drain(): Promise<void> {
    const { signal } = this.#call;
    if (this.#inFlight === 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#node.clock.after(LONGEST_DRAIN, () => done());
      const done = () => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#drained = done;
      signal.addEventListener('abort', done);
    });
  }
}
