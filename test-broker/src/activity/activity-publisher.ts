import { wire } from 'liftbridge-client/protocol';
import type { ClockTimer } from '../clock.js';
import type { BrokerNode, Operation } from '../cluster/contract.js';
import type { Authorize } from '../grpc/authorization.js';
import { RpcError } from '../grpc/status.js';
import { pause } from '../pause.js';
import { publish } from '../publish/publish.js';
import { eventOf } from './events.js';

/** The stream that records changes to streams and groups. */
const ACTIVITY_STREAM = '__activity';

const MAX_RETRY_DELAY_MS = 10_000;
const MIN_RETRY_DELAY_MS = 1_000;

const ACK_POLICIES: Readonly<Record<string, wire.AckPolicy>> = {
  none: wire.AckPolicy.NONE,
  leader: wire.AckPolicy.LEADER,
  all: wire.AckPolicy.ALL,
};

/** Events that a broker had not seen published when it stopped, for its next start. */
const unpublished = new WeakMap<BrokerNode, wire.ActivityStreamEvent[]>();

/**
 * Publishes an event for each operation, one at a time and in order. Every broker keeps the events that may not be
 * published yet; the metadata leader publishes them and records its progress. A failed event is retried and delays
 * those after it, so that an event may arrive twice but never too early, and is never lost.
 */
export class ActivityPublisher {
  readonly #node: BrokerNode;
  readonly #authorize: Authorize;
  readonly #unlisten: readonly (() => void)[];
  /** Aborts the current publish when the activity stream has been recreated. */
  #waiting = new AbortController();
  #stopped = false;
  #pending: wire.ActivityStreamEvent[];
  #publishing = false;
  #nextLook: ClockTimer | null = null;

  constructor(node: BrokerNode, authorize: Authorize) {
    this.#node = node;
    this.#authorize = authorize;
    this.#pending = unpublished.get(node) ?? [];
    this.#unlisten = [
      node.onApplied((index, operation) => this.#applied(index, operation)),
      node.onServing(() => this.#start()),
    ];
    this.#start();
  }

  /** Ends the publishing; pending events are left to the next metadata leader, or to the next start of this broker. */
  stop(): void {
    this.#stopped = true;
    this.#waiting.abort();
    for (const unlisten of this.#unlisten) unlisten();
    this.#nextLook?.cancel();
    unpublished.set(this.#node, this.#pending);
  }

  #applied(index: bigint, operation: Operation): void {
    if (operation.kind === 'create-stream' && operation.name === ACTIVITY_STREAM) this.#beginAnew();
    if (operation.kind === 'activity-published') {
      this.#pending = this.#pending.filter(({ id }) => id > operation.upTo);
    } else {
      const event = eventOf(index, operation, (name) => this.#node.stream(name));
      if (event) this.#pending.push(event);
    }
    this.#start();
  }

  /** A new activity stream omits earlier events. */
  #beginAnew(): void {
    this.#pending = [];
    this.#waiting.abort();
    this.#waiting = new AbortController();
  }

  #start(): void {
    if (this.#publishing || this.#pending.length === 0 || !this.#node.serving) return;
    if (this.#node.isMetadataLeader) void this.#publishAll();
    // Another broker publishes; if that one is lost, this one may have to continue.
    else
      this.#nextLook ??= this.#node.clock.after(MIN_RETRY_DELAY_MS, () => {
        this.#nextLook = null;
        this.#start();
      });
  }

  async #publishAll(): Promise<void> {
    this.#publishing = true;
    let wait = MIN_RETRY_DELAY_MS;
    while (this.#pending.length > 0 && this.#node.isMetadataLeader && !this.#stopped) {
      const { signal } = this.#waiting;
      if ((await this.#publish(this.#pending[0]!, signal)) || signal.aborted) wait = MIN_RETRY_DELAY_MS;
      else {
        await pause(this.#node.clock, wait, signal);
        wait = Math.min(2 * wait, MAX_RETRY_DELAY_MS);
      }
    }
    this.#publishing = false;
    if (!this.#stopped) this.#start();
  }

  /** Publishes an event and records that; returns false when it has to be retried. */
  async #publish(event: wire.ActivityStreamEvent, signal: AbortSignal): Promise<boolean> {
    const deadline = this.#node.clock.now() + this.#node.settings['activity.stream.publish.timeout'];
    try {
      // No client is behind it: with authorization this always fails, as in the server.
      const caller = { deadline, identity: null, signal };
      await publish(this.#node, this.#authorize, this.#request(event), caller);
      const options = { deadline, failurePrefix: 'Failed to note the published activity' };
      await this.#node.propose({ kind: 'activity-published', upTo: event.id }, options);
      this.#pending = this.#pending.filter(({ id }) => id > event.id);
      return true;
    } catch (error) {
      if (error instanceof RpcError) return false;
      throw error;
    }
  }

  #request(event: wire.ActivityStreamEvent): wire.PublishRequest {
    return {
      key: new Uint8Array(),
      value: wire.ActivityStreamEvent.encode(event).finish(),
      stream: ACTIVITY_STREAM,
      partition: 0,
      headers: new Map(),
      ackInbox: '',
      correlationId: '',
      ackPolicy: ACK_POLICIES[this.#node.settings['activity.stream.publish.ack.policy']] ?? wire.AckPolicy.ALL,
      expectedOffset: 0n,
    };
  }
}
