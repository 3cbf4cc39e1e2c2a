import type { Waiting } from '../../../src/async/deadline.js';
import { SubscribeRequest, Message as WireMessage } from '../../../src/protocol/generated/api.js';
import { type StreamEnd, serverEnd, transportEnd } from '../../../src/transport/stream-end.js';
import { deferred } from '../../support/deferred.js';

/** The end of a call whose connection was lost. */
export const LOST = transportEnd(14, 'connection lost', true);

/** The end of a call that the broker refuses. */
export const refusal = (code: number, message: string): StreamEnd =>
  serverEnd({ trailers: { 'grpc-status': String(code), 'grpc-message': message } });

/** A Subscribe call at a broker. */
export class Call {
  partition = 0;
  request!: SubscribeRequest;
  paused = false;
  cancelled: string | null = null;
  frame: (source: Uint8Array, start: number, end: number) => void = () => undefined;
  batch: () => void = () => undefined;
  readonly #end = deferred<StreamEnd>();
  readonly ended = this.#end.promise;

  constructor(
    readonly broker: string,
    private readonly onSent: (call: Call) => void,
  ) {}

  onFrames(listener: Call['frame']): void {
    this.frame = listener;
  }
  onBatch(listener: () => void): void {
    this.batch = listener;
  }
  send(request: Uint8Array): void {
    this.request = SubscribeRequest.decode(request);
    this.partition = this.request.partition;
  }
  halfClose(): void {
    this.onSent(this);
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  cancel(reason: string): void {
    this.cancelled ??= reason;
    this.#end.resolve(transportEnd(1, reason, true));
  }

  confirm(): void {
    this.frame(new Uint8Array(0), 0, 0);
  }

  /** Brings messages of a partition, in one chunk. */
  deliver(...offsets: number[]): void {
    for (const offset of offsets) {
      const message = { stream: 'orders', partition: this.partition, offset: BigInt(offset) };
      const bytes = WireMessage.encode(WireMessage.fromPartial(message)).finish();
      this.frame(bytes, 0, bytes.length);
    }
    this.batch();
  }

  end(end: StreamEnd): void {
    this.#end.resolve(end);
  }
}

/** A cluster that knows the stream "orders", led by broker a. */
export class FakeCluster {
  readonly calls: Call[] = [];
  readonly emitted: [string, { error?: Error; position?: bigint; delay?: number }][] = [];
  refreshes = 0;
  /** The streams of the last refresh, and its bounds. */
  refreshed: readonly string[] = [];
  refreshBounds: Waiting = {};
  created = 1;
  partitions = 1;
  leaderId: string | null = 'a';
  replicas: string[] = [];
  existing = 'present';
  /** What becomes of each call, in order; the last one goes for all later ones. */
  answers: ((call: Call) => void)[] = [(call) => call.confirm()];
  readonly logger = { debug: () => undefined };
  refreshFails = false;

  partitionCount = () => this.partitions;
  createdAt = () => this.created;
  leader = () => (this.leaderId === null ? null : { id: this.leaderId, address: `${this.leaderId}:9292` });
  isr = () => this.replicas.map((id) => ({ id, address: `${id}:9292` }));
  readonly sought: object[] = [];
  existence = async (sought: object) => {
    this.sought.push(sought);
    return this.existing;
  };
  /** What a refresh changes. */
  onRefresh: () => void = () => undefined;
  refresh = async (streams: readonly string[], waiting: Waiting = {}) => {
    this.refreshBounds = waiting;
    this.refreshes++;
    this.refreshed = streams;
    if (this.refreshFails) throw new Error('no broker answers');
    this.onRefresh();
  };
  /** Ends of the partition; undefined: the answer has none; an error: the call rejects with it. */
  ends: { newestOffset: bigint; highWatermark: bigint; isr: string[] } | Error | undefined = {
    newestOffset: 9n,
    highWatermark: 9n,
    isr: ['a'],
  };
  /** Unary calls: method, broker, request and bounds. */
  readonly unary: [method: string, broker: string, request: object, waiting: Waiting][] = [];
  callBroker = async (...call: [string, string, object, Waiting]) => {
    this.unary.push(call);
    if (this.ends instanceof Error) throw this.ends;
    return { metadata: this.ends };
  };
  readonly listeners = new Set<(event: { stream: string; partition: number }) => void>();
  on = (_name: string, listener: (event: { stream: string; partition: number }) => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  emit = (name: string, event: object) => void this.emitted.push([name, event]);
  session = async ({ id }: { id: string }) => ({
    open: () => {
      const call = new Call(id, (sent) => {
        const answer = this.answers.length > 1 ? this.answers.shift()! : this.answers[0]!;
        answer(sent);
      });
      this.calls.push(call);
      return call;
    },
  });

  get call(): Call {
    return this.calls.at(-1)!;
  }
}
