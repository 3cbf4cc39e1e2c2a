import { CallFaults } from './faults/call-faults.js';
import { type DeadlineEnd, DeadlineEnds } from './faults/deadline-ends.js';
import { BrokerIndexes, type FaultScope } from './faults/fault-scope.js';
import {
  checkMilliseconds,
  checkRpc,
  checkTimes,
  type ResetCode,
  type RpcName,
  resetNumber,
  statusName,
} from './faults/names.js';
import { NetworkFaults } from './faults/network-faults.js';
import { type FaultTarget, Silences } from './faults/silences.js';
import { RpcError, type StatusName } from './grpc/status.js';
import { wrongValue } from './option-error.js';

export type { DeadlineEnd } from './faults/deadline-ends.js';
export type { FaultScope } from './faults/fault-scope.js';
export type { ResetCode, RpcName } from './faults/names.js';
export type { FaultTarget } from './faults/silences.js';

/**
 * Injected faults. Planned faults strike the calls that follow, in the order of their plans, until they are used up or
 * `clear` is called. `pending` counts those that have not struck yet.
 */
export class Faults {
  readonly #brokers: BrokerIndexes;
  /** Faults of calls. @internal */
  readonly calls = new CallFaults();
  /** How calls end whose deadline has passed. @internal */
  readonly deadlines = new DeadlineEnds();
  readonly #targets = new Set<FaultTarget>();
  readonly #listeners = new Set<() => void>();
  readonly #silences = new Silences();
  /** Faults between the brokers. @internal */
  readonly network = new NetworkFaults(() => this.#changed());
  /** Closes and opens the NATS listener. */
  #switchNats: (up: boolean) => Promise<void> = () => Promise.resolve();
  #ackDelay = 0;
  #acksToDrop = 0;

  /** `brokers`: number of brokers, to refuse an index beyond them. Default: any index is accepted. */
  constructor(brokers = Number.POSITIVE_INFINITY) {
    this.#brokers = new BrokerIndexes(brokers);
  }

  /**
   * Fails the next `times` calls of an RPC with a gRPC status. A call of PublishAsync or another stream from the client
   * that is already open fails with its next message, so the fault works whether or not the client has one open.
   *
   * @param code name or number of the status, any but OK
   * @param message text of the status; default `injected fault`
   * @param times number of calls; default 1
   */
  rejectNext(
    rpc: RpcName,
    code: StatusName | number,
    message = 'injected fault',
    times = 1,
    scope: FaultScope = {},
  ): void {
    if (typeof message !== 'string') throw wrongValue('message', 'a string', message);
    const error = new RpcError(statusName(code), message);
    checkRpc(rpc);
    this.calls.reject(rpc, error, this.#brokers.of(scope), checkTimes('times', times, 1));
  }

  /**
   * Resets the stream of the next `times` calls of an RPC (RST_STREAM) before any response; an open
   * stream from the client is reset at its next message.
   *
   * @param errorCode name or number of the HTTP/2 error; default `INTERNAL_ERROR`
   */
  resetNext(rpc: RpcName, errorCode: ResetCode | number = 'INTERNAL_ERROR', times = 1, scope: FaultScope = {}): void {
    const code = resetNumber(errorCode);
    checkRpc(rpc);
    this.calls.reset(rpc, code, this.#brokers.of(scope), checkTimes('times', times, 1));
  }

  /**
   * Sends the next response of an RPC that holds a message up to the middle of its last message, then cuts the
   * connection.
   */
  cutMidFrame(rpc: RpcName, scope: FaultScope = {}): void {
    checkRpc(rpc);
    this.calls.cut(rpc, this.#brokers.of(scope));
  }

  /** Delays every ack by `ms` milliseconds of the broker's clock; 0 ends the delay. */
  delayAcks(ms: number): void {
    this.#ackDelay = checkMilliseconds(ms);
    this.#changed();
  }

  /** Drops the next `n` acks; the broker still stores their messages. */
  dropAcks(n: number): void {
    this.#acksToDrop = checkTimes('n', n, 0);
    this.#changed();
  }

  /**
   * Sets how a broker ends a call whose deadline passes on the broker before the client ends it. `'status'`: with
   * DEADLINE_EXCEEDED. `'reset'`: with RST_STREAM CANCEL, which clients see as CANCELLED. `'mixed'`: like the server,
   * every tenth call with a reset. Default `'mixed'`. The client uses real time, so after `broker.clock.advance` the
   * broker is first.
   */
  endDeadlines(how: DeadlineEnd): void {
    this.deadlines.set(how);
  }

  /** Cuts every connection of a broker, or of all, without a GOAWAY; new connections are accepted. */
  cutConnections(scope: FaultScope = {}): void {
    for (const target of this.#aimedAt(scope)) target.cutConnections();
  }

  /** Sends GOAWAY to every client of a broker, or of all: open calls continue, new calls need a new connection. */
  goAway(scope: FaultScope = {}): void {
    for (const target of this.#aimedAt(scope)) target.goAway();
  }

  /**
   * Stops all responses, as if the network dropped every packet: connections stay open, new ones get no response. After
   * the silence the broker handles what arrived, and sends what was due, during it.
   *
   * @param ms duration; without it the silence lasts until the returned function is called
   */
  silence(ms?: number, scope: FaultScope = {}): () => void {
    const end = ms === undefined || ms === Number.POSITIVE_INFINITY ? undefined : checkMilliseconds(ms);
    return this.#silences.begin(this.#aimedAt(scope), end);
  }

  /**
   * Separates brokers `i` and `j` in both directions; clients reach both. Ends with the returned function or with
   * `heal`. When the same pair is separated twice, both have to end.
   */
  partition(i: number, j: number): () => void {
    this.#brokers.check('i', i);
    this.#brokers.check('j', j);
    if (i === j) throw wrongValue('j', `a broker other than ${i}`, j);
    return this.network.partition(i, j);
  }

  /** Ends every `partition`. */
  heal(): void {
    this.network.heal();
  }

  /**
   * Freezes broker `i` as SIGSTOP does. Its connections stay open and it sends no response. The other brokers treat it
   * as lost and may elect new leaders. NATS keeps the messages for it. `thaw`, or the returned function, acts as
   * SIGCONT: the broker receives those messages, stores and acknowledges them in the partitions that it led, and only
   * then learns of a new leader, whose log replaces its own.
   */
  freeze(i: number): () => void {
    const broker = this.#brokers.check('i', i);
    this.network.freeze(broker, () => this.#silences.begin(this.#aimedAt({ broker })));
    return () => this.thaw(broker);
  }

  /** Ends the freeze of a broker; does nothing to any other. */
  thaw(i: number): void {
    this.network.thaw(this.#brokers.check('i', i));
  }

  /**
   * `'down'`: no broker reaches NATS, and through it no other broker, and NATS clients are cut off. Connections of
   * Liftbridge clients stay open. A publish is refused, and its message is not delivered later. Resolves once NATS
   * clients can, or cannot, connect.
   */
  async nats(state: 'down' | 'up'): Promise<void> {
    if (state !== 'down' && state !== 'up') throw wrongValue('state', '"down" or "up"', state);
    if (this.network.natsDown === (state === 'down')) return;
    this.network.natsDown = state === 'down';
    await this.#switchNats(state === 'up');
  }

  /**
   * Delays the operations on streams and groups on every broker but the metadata leader by `ms` milliseconds of the
   * broker's clock; 0 ends the delay. It widens the window in which a consumer has joined or left a group and the
   * coordinator does not know: `consumer group does not exist`, or a different epoch.
   */
  delayMetadata(ms: number, scope: FaultScope = {}): void {
    this.network.delayMetadata(this.#brokers.of(scope), checkMilliseconds(ms));
  }

  /**
   * Makes the next elected metadata leader look groups up before it knows them: its first `joins` calls of
   * JoinConsumerGroup for existing groups fail with `consumer group already exists`. A restarted server does so for less
   * than 0.2 seconds.
   *
   * @param joins number of calls; default 1
   */
  electUnaware(joins = 1): void {
    this.network.unawareLeader.plan(checkTimes('joins', joins, 1));
  }

  /**
   * Leaves broker `i` out of the lists of brokers in the FetchMetadata responses of the others. The server does so for up
   * to two minutes when a broker has not answered its request for the list. Broker `i` keeps working, and partitions still
   * name it as their leader. The returned function ends the fault.
   */
  unlist(i: number): () => void {
    return this.network.unlist(this.#brokers.check('i', i));
  }

  /** Removes all planned faults and ends all active ones. */
  clear(): void {
    this.calls.clear();
    this.deadlines.clear();
    this.#ackDelay = 0;
    this.#acksToDrop = 0;
    const { natsDown } = this.network;
    this.network.clear();
    if (natsDown) void this.#switchNats(true);
    this.#silences.clear();
    this.#changed();
  }

  /** Number of planned faults that have not struck yet. */
  get pending(): number {
    return this.#acksToDrop + this.calls.pending + this.network.unawareLeader.pending;
  }

  /** Delay of acks in milliseconds. */
  get ackDelay(): number {
    return this.#ackDelay;
  }

  /** Returns whether this ack is dropped; consumes one of `dropAcks`. @internal */
  takeAckDrop(): boolean {
    if (this.#acksToDrop === 0) return false;
    this.#acksToDrop--;
    return true;
  }

  /** Sets the function that closes and opens the NATS listener; it must not reject. @internal */
  attachNats(switchNats: (up: boolean) => Promise<void>): void {
    this.#switchNats = switchNats;
  }

  /** Calls back when ack faults, partitions, frozen brokers, NATS or delays change; the returned function ends that. @internal */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Adds the connections of a broker; the returned function removes them again. @internal */
  attach(target: FaultTarget): () => void {
    this.#targets.add(target);
    return () => this.#targets.delete(target);
  }

  #aimedAt(scope: FaultScope): FaultTarget[] {
    const broker = this.#brokers.of(scope);
    return [...this.#targets].filter((target) => broker === null || target.brokerIndex === broker);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
