import { Counted } from './faults/counted.js';
import { FaultQueue } from './faults/fault-queue.js';
import {
  checkMilliseconds,
  checkTimes,
  type ResetCode,
  RPC_NAMES,
  type RpcName,
  resetNumber,
  statusName,
} from './faults/names.js';
import { type FaultTarget, Silences } from './faults/silences.js';
import { RpcError, type StatusName } from './grpc/status.js';
import { unknownName, wrongValue } from './option-error.js';

export type { ResetCode, RpcName } from './faults/names.js';
export type { FaultTarget } from './faults/silences.js';

/** Where a fault strikes; without a broker it is the next one that comes along. */
export interface FaultScope {
  /** Index of the broker, as in `stopBroker`. Default: any. */
  readonly broker?: number;
}

/**
 * Trouble on demand. What is planned here strikes the calls that follow, in the order it was planned, until it is used
 * up or `clear` is called; how much of it is still waiting tells `pending`.
 */
export class Faults {
  readonly #brokers: number;
  /** Whether a call has to ask at all: false keeps the hot path free of look-ups. */
  armed = false;
  readonly #rejections = new FaultQueue<RpcError>();
  readonly #resets = new FaultQueue<number>();
  readonly #cuts = new FaultQueue<true>();
  readonly #targets = new Set<FaultTarget>();
  readonly #listeners = new Set<() => void>();
  readonly #silences = new Silences();
  readonly #partitions = new Counted<string>(() => this.#changed());
  readonly #unlisted = new Counted<number>(() => {});
  /** By the index of the broker; null for every other. */
  readonly #metadataDelays = new Map<number | null, number>();
  #ackDelay = 0;
  #acksToDrop = 0;

  /** `brokers`: how many there are, so that an index beyond them is refused. Default: any index is accepted. */
  constructor(brokers = Number.POSITIVE_INFINITY) {
    this.#brokers = brokers;
  }

  /**
   * Fails the next `times` calls of an RPC with a gRPC status. A call of PublishAsync or another stream from the client
   * that is open already fails with its next message, so the fault works whether or not the client holds one open.
   *
   * @param code name or number of the status, any but OK
   * @param message text of the status; default `injected fault`
   * @param times how many calls; default 1
   */
  rejectNext(
    rpc: RpcName,
    code: StatusName | number,
    message = 'injected fault',
    times = 1,
    scope: FaultScope = {},
  ): void {
    this.#plan(this.#rejections, rpc, new RpcError(statusName(code), message), times, scope);
  }

  /**
   * Resets the stream of the next `times` calls of an RPC (RST_STREAM) before anything is answered; an open stream from
   * the client is reset at its next message.
   *
   * @param errorCode name or number of the HTTP/2 error; default `INTERNAL_ERROR`
   */
  resetNext(rpc: RpcName, errorCode: ResetCode | number = 'INTERNAL_ERROR', times = 1, scope: FaultScope = {}): void {
    this.#plan(this.#resets, rpc, resetNumber(errorCode), times, scope);
  }

  /** Sends the next answer of an RPC that holds a message up to the middle of its last message, then cuts the connection. */
  cutMidFrame(rpc: RpcName, scope: FaultScope = {}): void {
    this.#plan(this.#cuts, rpc, true, 1, scope);
  }

  /** Holds every ack back for so many milliseconds of the broker's clock; 0 ends it. */
  delayAcks(ms: number): void {
    this.#ackDelay = checkMilliseconds(ms);
    this.#changed();
  }

  /** Loses the next `n` acks; their messages are stored all the same. */
  dropAcks(n: number): void {
    this.#acksToDrop = checkTimes('n', n, 0);
    this.#changed();
  }

  /** Cuts every connection of a broker, or of all, without a word; new ones are accepted. */
  cutConnections(scope: FaultScope = {}): void {
    for (const target of this.#aimedAt(scope)) target.cutConnections();
  }

  /** Tells every client of a broker, or of all, to go (GOAWAY); calls that are open go on, new ones need a new connection. */
  goAway(scope: FaultScope = {}): void {
    for (const target of this.#aimedAt(scope)) target.goAway();
  }

  /**
   * Answers nothing any more, as if the network swallowed every packet: connections stay open, new ones are not
   * greeted. What came and what was to be sent meanwhile is handled afterwards.
   *
   * @param ms how long; without it until the returned function is called
   */
  silence(ms?: number, scope: FaultScope = {}): () => void {
    if (ms !== undefined && !(ms >= 0)) throw wrongValue('ms', 'a number of at least 0', ms);
    return this.#silences.begin(this.#aimedAt(scope), ms);
  }

  /**
   * Cuts brokers `i` and `j` off from each other, in both directions; clients reach both. Ends with the returned
   * function or with `heal`. Cutting the same pair twice needs both to end.
   */
  partition(i: number, j: number): () => void {
    this.#checkIndex('i', i);
    this.#checkIndex('j', j);
    if (i === j) throw wrongValue('j', `another broker than ${i}`, j);
    return this.#partitions.add(pairOf(i, j));
  }

  /** Ends every `partition`. */
  heal(): void {
    this.#partitions.clear();
    this.#changed();
  }

  /**
   * Every broker but the metadata leader learns so many milliseconds of the broker's clock later what has happened to
   * streams and groups; 0 ends it. It widens the window in which a consumer has joined or left a group and the
   * coordinator does not know: `consumer group does not exist`, or an epoch that differs.
   */
  delayMetadata(ms: number, scope: FaultScope = {}): void {
    const broker = this.#brokerOf(scope);
    if (broker === null) this.#metadataDelays.clear();
    this.#metadataDelays.set(broker, checkMilliseconds(ms));
    this.#changed();
  }

  /**
   * Leaves broker `i` out of the lists of brokers that the others answer FetchMetadata with, as the server does for up
   * to two minutes when a survey has missed it. It works, and what it leads names it. Ends with the returned function.
   */
  unlist(i: number): () => void {
    return this.#unlisted.add(this.#checkIndex('i', i));
  }

  /** Forgets everything that is planned, and ends everything that goes on. */
  clear(): void {
    for (const queue of [this.#rejections, this.#resets, this.#cuts]) queue.clear();
    this.#ackDelay = 0;
    this.#acksToDrop = 0;
    this.#partitions.clear();
    this.#unlisted.clear();
    this.#metadataDelays.clear();
    this.#silences.clear();
    this.#changed();
  }

  /** Faults that are planned and have not struck yet. */
  get pending(): number {
    return this.#acksToDrop + this.#rejections.pending + this.#resets.pending + this.#cuts.pending;
  }

  /** Milliseconds that acks are held back. */
  get ackDelay(): number {
    return this.#ackDelay;
  }

  /** Whether this ack is to be lost; uses one of `dropAcks` up. */
  takeAckDrop(): boolean {
    if (this.#acksToDrop === 0) return false;
    this.#acksToDrop--;
    return true;
  }

  /** Whether brokers `i` and `j` cannot reach each other. */
  isPartitioned(i: number, j: number): boolean {
    return this.#partitions.has(pairOf(i, j));
  }

  /** Milliseconds by which broker `i` learns later of operations, unless it is the metadata leader. */
  metadataDelay(i: number): number {
    return this.#metadataDelays.get(i) ?? this.#metadataDelays.get(null) ?? 0;
  }

  /** Whether the other brokers leave broker `i` out of their lists. */
  isUnlisted(i: number): boolean {
    return this.#unlisted.has(i);
  }

  /** What this call fails with, if it does; uses one of `rejectNext` up. */
  takeRejection(broker: number, rpc: string): RpcError | null {
    return this.#take(this.#rejections, broker, rpc);
  }

  /** The HTTP/2 error that this call is reset with, if it is; uses one of `resetNext` up. */
  takeReset(broker: number, rpc: string): number | null {
    return this.#take(this.#resets, broker, rpc);
  }

  /** Whether this answer is cut in the middle; uses one of `cutMidFrame` up. */
  takeCut(broker: number, rpc: string): boolean {
    return this.#take(this.#cuts, broker, rpc) ?? false;
  }

  /** Calls back when ack faults or partitions change; the answer ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Puts the connections of a broker within reach; the answer takes them out again. */
  attach(target: FaultTarget): () => void {
    this.#targets.add(target);
    return () => this.#targets.delete(target);
  }

  #aimedAt(scope: FaultScope): FaultTarget[] {
    const broker = this.#brokerOf(scope);
    return [...this.#targets].filter((target) => broker === null || target.brokerIndex === broker);
  }

  #plan<T>(queue: FaultQueue<T>, rpc: RpcName, what: T, times: number, scope: FaultScope): void {
    if (!RPC_NAMES.includes(rpc)) throw unknownName('RPC', String(rpc), rpc, RPC_NAMES);
    queue.plan(rpc, what, this.#brokerOf(scope), checkTimes('times', times, 1));
    this.#rearm();
  }

  #take<T>(queue: FaultQueue<T>, broker: number, rpc: string): T | null {
    const what = queue.take(rpc, broker);
    this.#rearm();
    return what;
  }

  #brokerOf({ broker }: FaultScope): number | null {
    return broker === undefined ? null : this.#checkIndex('broker', broker);
  }

  #checkIndex(name: string, index: number): number {
    if (Number.isInteger(index) && index >= 0 && index < this.#brokers) return index;
    const most = this.#brokers === Number.POSITIVE_INFINITY ? 'of at least 0' : `from 0 to ${this.#brokers - 1}`;
    throw wrongValue(name, `the index of a broker, an integer ${most}`, index);
  }

  #rearm(): void {
    this.armed = !(this.#rejections.empty && this.#resets.empty && this.#cuts.empty);
  }

  #changed(): void {
    this.#rearm();
    for (const listener of this.#listeners) listener();
  }
}

function pairOf(i: number, j: number): string {
  return i < j ? `${i},${j}` : `${j},${i}`;
}
