import type { BrokerTarget, Cluster } from '../../../src/cluster/cluster-api.js';
import { ByteWriter } from '../../../src/protocol/byte-writer.js';
import { PublishRequest, PublishResponse } from '../../../src/protocol/generated/api.js';
import type { PartitionQueue, PendingPublish } from '../../../src/publish/partition-queue.js';
import type { PublishStreamListener } from '../../../src/publish/publish-stream.js';
import type { StreamEnd } from '../../../src/transport/stream-end.js';
import { transportEnd } from '../../../src/transport/stream-end.js';
import { deferred } from '../../support/deferred.js';

/** A publish stream to a broker, as the transport returns it. It ends when a test ends it, or when it is cancelled. */
export class FakeStream {
  writable = true;
  halfClosed = false;
  cancelled = false;
  /** When the response that is not complete began to arrive. */
  midMessageSince: number | null = null;
  /** The decoded requests that were written. */
  readonly requests: PublishRequest[] = [];
  #onFrame: (source: Buffer, start: number, end: number) => void = () => undefined;
  readonly #end = deferred<StreamEnd>();
  readonly ended = this.#end.promise;

  onFrames(listener: (source: Buffer, start: number, end: number) => void): void {
    this.#onFrame = listener;
  }

  write(encode: (writer: ByteWriter) => void): void {
    const writer = new ByteWriter();
    encode(writer);
    this.requests.push(PublishRequest.decode(writer.take()));
  }

  /** Delivers a response of the broker. */
  respond(response: Parameters<typeof PublishResponse.fromPartial>[0] = {}): void {
    const bytes = Buffer.from(PublishResponse.encode(PublishResponse.fromPartial(response)).finish());
    this.#onFrame(bytes, 0, bytes.length);
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }

  halfClose(): void {
    this.halfClosed = true;
  }

  cancel(): void {
    this.cancelled = true;
    this.end();
  }

  end(end: StreamEnd = transportEnd(1, 'cancelled', true)): void {
    this.writable = false;
    this.#end.resolve(end);
  }
}

/** A connection to a broker. */
export class FakeSession {
  stale = false;
  /** Liveness checks, each pending until a test resolves it. */
  readonly checks: { resolve: () => void }[] = [];
  readonly streams: FakeStream[] = [];
  readonly listeners = new Set<() => void>();

  open(): FakeStream {
    const stream = new FakeStream();
    this.streams.push(stream);
    return stream;
  }

  onClose(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  checkLiveness(): Promise<void> {
    return new Promise((resolve) => this.checks.push({ resolve }));
  }
}

export function target(id: string): BrokerTarget {
  return { id, address: `${id}:9292` };
}

/** A cluster of brokers with one connection each. */
export class FakeCluster {
  version = 1;
  readonly sessions = new Map<string, FakeSession>();
  /** Brokers that cannot be reached, and why. */
  readonly away = new Map<string, Error>();
  leaderId: string | null = 'a';
  paused = false;
  /** Brokers that were checked for leading the partition, in order. */
  readonly asked: string[] = [];
  /** The errors with which brokers deny that they lead; a broker without one leads. */
  readonly denials = new Map<string, () => Error>();
  ids: readonly string[] = ['a', 'b', 'c'];
  partitions = 1;
  existing = 'present';
  readonly refreshed: string[] = [];
  readonly errors: Error[] = [];
  readonly logger = { debug: () => undefined, error: () => undefined };
  /** Each refresh waits for this promise. */
  refreshing: Promise<void> = Promise.resolve();

  partitionCount(): number {
    return this.partitions;
  }

  async existence(): Promise<string> {
    return this.existing;
  }

  async refresh(streams: readonly string[]): Promise<void> {
    this.refreshed.push(...streams);
    await this.refreshing;
  }

  on(): () => void {
    return () => undefined;
  }

  emit(name: string, error: Error): void {
    if (name === 'asyncError') this.errors.push(error);
  }

  session({ id }: BrokerTarget): Promise<FakeSession> {
    const error = this.away.get(id);
    if (error !== undefined) return Promise.reject(error);
    let session = this.sessions.get(id);
    if (session === undefined) {
      session = new FakeSession();
      this.sessions.set(id, session);
    }
    return Promise.resolve(session);
  }

  /** The newest publish stream to a broker. */
  stream(id: string): FakeStream {
    return this.sessions.get(id)!.streams.at(-1)!;
  }

  leader(): BrokerTarget | null {
    return this.leaderId === null ? null : target(this.leaderId);
  }

  isPaused(): boolean {
    return this.paused;
  }

  async callBroker(method: string, id: string): Promise<object> {
    if (method !== 'fetchPartitionMetadata') throw new Error(`unexpected call of ${method}`);
    this.asked.push(id);
    const denial = this.denials.get(id);
    if (denial !== undefined) throw denial();
    return {};
  }

  anyBroker(except: ReadonlySet<string>): BrokerTarget {
    const id = this.ids.find((one) => !except.has(target(one).address)) ?? this.ids[0];
    if (id === undefined) throw new Error('no broker is known');
    return target(id);
  }

  get asCluster(): Cluster {
    return this as unknown as Cluster;
  }
}

/** A listener of publish streams that records their events. */
export function recorder() {
  const told: string[] = [];
  const lost: PendingPublish[][] = [];
  const written: PendingPublish[][] = [];
  const listener: PublishStreamListener<PendingPublish> = ({ target: { id } }, event) => {
    if (event.kind === 'written') {
      written.push([...event.pendings]);
      return;
    }
    const isUnprocessed = event.kind === 'ended' && !event.end.processed;
    told.push(`${event.kind} ${id}${isUnprocessed ? ' unprocessed' : ''}`);
    if (event.kind === 'ended') lost.push([...event.lost]);
  };
  return { listener, told, lost, written };
}

let numbers = 0;

/** A publish, in the order of the calls. */
export function publish(more: Partial<PendingPublish> = {}, queue: PartitionQueue | null = null): PendingPublish {
  const number = ++numbers;
  const request = { stream: 'orders', key: null, value: null, headers: null, ackPolicy: 0, timeout: 60_000, bytes: 10 };
  const state = { settled: false, sent: false, attempts: 0, publishStream: null, lastError: null, deadline: 1e12 };
  const id = {
    partition: 0,
    ackInbox: '',
    expectedOffset: -1n,
    number,
    correlationId: `p${number.toString(36)}`,
    chosenId: false,
  };
  return { ...request, ...state, ...id, queue, ...more } as unknown as PendingPublish;
}
