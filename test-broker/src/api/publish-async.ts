import { deferred, wire } from 'liftbridge-client/protocol';
import type { BrokerNode } from '../cluster/contract.js';
import { pausedPartitions, resume } from '../cluster/resume.js';
import type { Authorize } from '../grpc/authorization.js';
import type { DuplexCall, Method } from '../grpc/service.js';
import { goErrorText, RpcError } from '../grpc/status.js';
import type { BusSubscription } from '../nats/bus.js';
import { pause } from '../pause.js';
import { ackInboxOf } from '../publish/ack-wait.js';
import { findTarget, OVERLONG_HEADER, type PublishTarget, type Refusal, refusalOf } from '../publish/publish-checks.js';
import { encodeAddress, encodeInbox, PublishedMessage } from '../publish/published-message.js';
import { AckStream } from './ack-stream.js';

const MAX_DRAIN_MS = 5_000;

const { INTERNAL, PERMISSION_DENIED } = wire.PublishAsyncError_Code;

/** PublishAsync. */
export function publishAsyncMethods(node: BrokerNode, authorize: Authorize): Record<string, Method> {
  return { PublishAsync: { kind: 'duplex', handle: (call) => new PublishSession(node, authorize, call).run() } };
}

/**
 * One PublishAsync stream. It handles all messages of a chunk synchronously, without a promise, unless a partition has
 * to be resumed first; later messages wait for that.
 */
class PublishSession {
  readonly #node: BrokerNode;
  readonly #authorize: Authorize;
  readonly #call: DuplexCall;
  readonly #inbox: string;
  readonly #inboxField: Buffer;
  readonly #answers: AckStream;
  /** The current message. */
  readonly #message = new PublishedMessage();
  /** Messages published with an ack, minus acks received. Acks of other streams count too, as in the server. */
  #inFlight = 0;
  #drained: (() => void) | null = null;
  #target: PublishTarget | null = null;
  /** Encoded address of the last message. */
  #address: { readonly stream: string; readonly subject: string; readonly bytes: Buffer } | null = null;

  constructor(node: BrokerNode, authorize: Authorize, call: DuplexCall) {
    this.#node = node;
    this.#authorize = authorize;
    this.#call = call;
    this.#inbox = ackInboxOf(node);
    this.#inboxField = encodeInbox(this.#inbox);
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
    const failure = deferred<never>();
    let failed = false;
    const stop = (error: unknown) => {
      failed = true;
      failure.reject(error);
    };
    this.#call.onMessages((payloads) => {
      if (failed) return;
      try {
        return this.#handleAll(payloads)?.catch(stop);
      } catch (error) {
        stop(error);
      }
    });
    return failure.promise;
  }

  #handleAll(payloads: readonly Buffer[], from = 0): Promise<void> | undefined {
    // The target is valid for one chunk: in between the stream may be deleted and recreated.
    this.#target = null;
    for (let i = from; i < payloads.length; i++) {
      const resuming = this.#handle(payloads[i]!);
      if (resuming !== undefined) return resuming.then(() => this.#handleAll(payloads, i + 1));
    }
    return this.#answers.full ? this.#call.drained() : undefined;
  }

  #handle(payload: Buffer): Promise<void> | undefined {
    const message = this.#message;
    message.read(payload);
    this.#checkPermission(message);
    const target = this.#find(message);
    if ('code' in target) {
      this.#refuse(target);
      return;
    }
    const refusal =
      refusalOf(this.#node, target, message.ackPolicy) ?? (message.overlongHeader ? OVERLONG_HEADER : null);
    if (refusal) {
      this.#refuse(refusal);
      return;
    }
    const paused = pausedPartitions(target.stream, message.partition);
    if (paused.length > 0) return this.#resumeAndPublish(payload, target, paused);
    this.#publish(target);
    return;
  }

  /** The real server reports that it is not allowed, and still publishes the message. */
  #checkPermission({ stream }: PublishedMessage): void {
    try {
      this.#authorize(this.#call, stream, 'Publish');
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      this.#refuse({ code: PERMISSION_DENIED, message: error.message });
    }
  }

  #find({ stream, partition }: PublishedMessage): PublishTarget | Refusal {
    const known = this.#target;
    if (known && known.stream.name === stream && known.partition.id === partition) return known;
    const found = findTarget(this.#node, stream, partition);
    if (!('code' in found)) this.#target = found;
    return found;
  }

  async #resumeAndPublish(payload: Buffer, target: PublishTarget, paused: readonly number[]): Promise<void> {
    let refusal: Pick<Refusal, 'code' | 'message'> | null = null;
    try {
      await resume(this.#node, target.stream.name, paused, this.#call.deadline);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      refusal = { code: INTERNAL, message: `failed to resume stream: ${goErrorText(error)}` };
    }
    this.#message.read(payload);
    if (refusal) this.#refuse(refusal);
    else this.#publish(target);
  }

  #publish({ partition: { stream, subject } }: PublishTarget): void {
    const message = this.#message;
    // Counted before NATS accepts it, as in the server: a refused message delays the close.
    if (message.ackPolicy !== wire.AckPolicy.NONE) this.#inFlight++;
    const address = this.#addressOf(stream, subject);
    try {
      this.#node.bus.publish(subject, message.envelope(address, this.#inboxField));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#refuse({ code: INTERNAL, message: `failed to publish to NATS: ${reason}` });
    }
  }

  #addressOf(stream: string, subject: string): Buffer {
    const last = this.#address;
    if (last && last.subject === subject && last.stream === stream) return last.bytes;
    const bytes = encodeAddress(stream, subject);
    this.#address = { stream, subject, bytes };
    return bytes;
  }

  /** Sends the refusal of the current message. */
  #refuse({ code, message }: Pick<Refusal, 'code' | 'message'>): void {
    this.#answers.error(this.#message.correlationId, { code, message });
  }

  /** The client sends no more: waits a limited time for the acks in flight. */
  #drain(): Promise<void> {
    const { signal } = this.#call;
    if (this.#inFlight === 0 || signal.aborted) return Promise.resolve();
    const drained = new AbortController();
    this.#drained = () => drained.abort();
    return pause(this.#node.clock, MAX_DRAIN_MS, AbortSignal.any([signal, drained.signal]));
  }
}
