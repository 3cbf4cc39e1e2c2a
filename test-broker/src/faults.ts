import { constants } from 'node:http2';
import { FaultQueue } from './fault-queue.js';
import { RpcError, Status, type StatusName } from './grpc/status.js';
import { unknownName, wrongValue } from './option-error.js';

/** Every RPC that a fault can be aimed at: those of `proto.API`, and those of the health service. */
export const RPC_NAMES = [
  'CreateStream',
  'DeleteStream',
  'PauseStream',
  'SetStreamReadonly',
  'Subscribe',
  'FetchMetadata',
  'FetchPartitionMetadata',
  'Publish',
  'PublishAsync',
  'PublishToSubject',
  'SetCursor',
  'FetchCursor',
  'JoinConsumerGroup',
  'LeaveConsumerGroup',
  'FetchConsumerGroupAssignments',
  'ReportConsumerGroupCoordinator',
  'Check',
  'Watch',
] as const;

/** An RPC that a fault can be aimed at. */
export type RpcName = (typeof RPC_NAMES)[number];

/** Names of the error codes of HTTP/2 that a stream can be reset with. */
export const RESET_CODES = Object.freeze({
  NO_ERROR: constants.NGHTTP2_NO_ERROR,
  PROTOCOL_ERROR: constants.NGHTTP2_PROTOCOL_ERROR,
  INTERNAL_ERROR: constants.NGHTTP2_INTERNAL_ERROR,
  FLOW_CONTROL_ERROR: constants.NGHTTP2_FLOW_CONTROL_ERROR,
  STREAM_CLOSED: constants.NGHTTP2_STREAM_CLOSED,
  REFUSED_STREAM: constants.NGHTTP2_REFUSED_STREAM,
  CANCEL: constants.NGHTTP2_CANCEL,
  ENHANCE_YOUR_CALM: constants.NGHTTP2_ENHANCE_YOUR_CALM,
  INADEQUATE_SECURITY: constants.NGHTTP2_INADEQUATE_SECURITY,
});

/** An HTTP/2 error code that a stream can be reset with. */
export type ResetCode = keyof typeof RESET_CODES;

/** The connections of one broker, as far as faults reach into them. */
export interface FaultTarget {
  readonly brokerIndex: number;
  cutConnections(): void;
  goAway(): void;
  setSilent(silent: boolean): void;
}

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
  readonly #partitions = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  readonly #silenced = new Map<FaultTarget, number>();
  readonly #silences = new Set<() => void>();
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
    if (!(ms >= 0 && Number.isFinite(ms))) throw wrongValue('ms', 'a number of at least 0', ms);
    this.#ackDelay = ms;
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
    const targets = this.#aimedAt(scope);
    for (const target of targets) this.#hush(target, 1);
    const end = () => {
      if (!this.#silences.delete(end)) return;
      clearTimeout(timer);
      for (const target of targets) this.#hush(target, -1);
    };
    this.#silences.add(end);
    const timer = ms === undefined ? undefined : setTimeout(end, ms);
    return end;
  }

  /**
   * Cuts brokers `i` and `j` off from each other, in both directions; clients reach both. Ends with the returned
   * function or with `heal`. Cutting the same pair twice needs both to end.
   */
  partition(i: number, j: number): () => void {
    this.#checkIndex('i', i);
    this.#checkIndex('j', j);
    if (i === j) throw wrongValue('j', `another broker than ${i}`, j);
    const pair = pairOf(i, j);
    this.#partitions.set(pair, (this.#partitions.get(pair) ?? 0) + 1);
    this.#changed();
    let healed = false;
    return () => {
      if (healed) return;
      healed = true;
      const left = (this.#partitions.get(pair) ?? 0) - 1;
      if (left > 0) this.#partitions.set(pair, left);
      else this.#partitions.delete(pair);
      this.#changed();
    };
  }

  /** Ends every `partition`. */
  heal(): void {
    this.#partitions.clear();
    this.#changed();
  }

  /** Forgets everything that is planned, and ends delays, silences and partitions. */
  clear(): void {
    for (const queue of [this.#rejections, this.#resets, this.#cuts]) queue.clear();
    this.#ackDelay = 0;
    this.#acksToDrop = 0;
    this.#partitions.clear();
    for (const end of [...this.#silences]) end();
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
    return this.#partitions.size > 0 && this.#partitions.has(pairOf(i, j));
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

  /** Overlapping silences of a broker end with the last of them. */
  #hush(target: FaultTarget, by: 1 | -1): void {
    const before = this.#silenced.get(target) ?? 0;
    if (before + by > 0) this.#silenced.set(target, before + by);
    else this.#silenced.delete(target);
    if (before === 0 || before + by === 0) target.setSilent(before === 0);
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

function checkTimes(name: string, value: number, min: number): number {
  if (!Number.isInteger(value) || value < min) throw wrongValue(name, `an integer of at least ${min}`, value);
  return value;
}

function statusName(code: StatusName | number): StatusName {
  const names = Object.keys(Status) as StatusName[];
  const name = typeof code === 'number' ? names.find((candidate) => Status[candidate] === code) : code;
  if (name === undefined || !Object.hasOwn(Status, name) || name === 'OK')
    throw wrongValue('code', `a gRPC status but OK (${names.slice(1).join(', ')}) or its number`, code);
  return name;
}

function resetNumber(code: ResetCode | number): number {
  if (typeof code === 'number') {
    if (Number.isInteger(code) && code >= 0 && code <= 13) return code;
  } else if (Object.hasOwn(RESET_CODES, code)) return RESET_CODES[code];
  throw wrongValue('errorCode', `one of ${Object.keys(RESET_CODES).join(', ')} or a number from 0 to 13`, code);
}

function pairOf(i: number, j: number): string {
  return i < j ? `${i},${j}` : `${j},${i}`;
}
