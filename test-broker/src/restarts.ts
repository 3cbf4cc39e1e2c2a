import type { BrokerServer } from './broker-server.js';
import type { Clock } from './clock.js';
import type { Cluster } from './cluster/cluster.js';
import { BrokerOptionError, wrongValue } from './option-error.js';
import { milliseconds, type ResolvedOptions } from './options.js';
import { pause } from './pause.js';
import { readOptions } from './read-options.js';
import { HELD_PHASES, type HeldPhase, type Recovery } from './recovery/phase.js';
import {
  isQuick,
  NO_RECOVERY,
  QUICK_RECOVERY_MS,
  type RecoveryPlan,
  realRecovery,
  scaledRecovery,
} from './recovery/plan.js';

/** Options of `startBroker`. */
export interface StartBrokerOptions {
  /**
   * Duration of its recovery in milliseconds; 0: it is ready at once. Default: that of `TestBroker.start`, and 0 with
   * `hold`.
   */
  readonly recoveryTime?: number;
  /** The phase of its recovery that holds until `release` is called. Default: none. */
  readonly hold?: HeldPhase;
  /**
   * The broker restarts from a Raft snapshot without later operations. It has no phases: it reports itself as a leader
   * at once, and none of its existing partitions and groups starts. Messages are lost; subscriptions deliver what was
   * committed. PauseStream and a message restore a stream, another restart restores all. Default false.
   */
  readonly silentPartitions?: boolean;
  /**
   * Groups come back without the streams that were deleted and recreated, and with a greater epoch, on this broker
   * only. The server does that at every restart. Default false.
   */
  readonly loseRecreatedStreams?: boolean;
}

/** Options of `stopBroker`. */
export interface StopBrokerOptions {
  /**
   * Stops like SIGINT, on which the server records exactly what is committed. Default false: stops like a kill, or
   * SIGTERM, which the server does not handle.
   */
  readonly graceful?: boolean;
}

const START_OPTIONS = ['recoveryTime', 'hold', 'silentPartitions', 'loseRecreatedStreams'] as const;

interface Starting {
  readonly started: Promise<Recovery>;
  readonly abort: AbortController;
}

const READY: Recovery = Object.freeze({
  phase: 'ready',
  ready: Promise.resolve(),
  release: () => Promise.resolve(),
});

/** Stops and starts the brokers of a cluster with their ports. */
export class Restarts {
  readonly #cluster: Cluster;
  readonly #servers: readonly BrokerServer[];
  readonly #clock: Clock;
  /** Milliseconds; null when the settings ask for the lengths of the server. */
  readonly #recoveryTime: number | null;
  readonly #stoppedAt = new Map<BrokerServer, number>();
  readonly #starting = new Map<BrokerServer, Starting>();

  constructor(cluster: Cluster, servers: readonly BrokerServer[], clock: Clock, options: ResolvedOptions) {
    this.#cluster = cluster;
    this.#servers = servers;
    this.#clock = clock;
    this.#recoveryTime = options.recoveryTime ?? (isQuick(options) ? QUICK_RECOVERY_MS : null);
  }

  /** Opens every port; data of an earlier process is recovered in phases. Resolves once all brokers serve calls. */
  async open(): Promise<void> {
    const plan = this.#plan({}, false, 0);
    const recovers = plan !== null && this.#cluster.log.end > 0;
    if (recovers) this.#cluster.prepareRecovery();
    for (const server of this.#servers) await server.open();
    if (recovers) this.#cluster.recover(plan);
    else await this.#cluster.start();
  }

  /** Cuts the connections of a broker and stops it. */
  async stop(server: BrokerServer, options: StopBrokerOptions = {}): Promise<void> {
    const { graceful = false } = readOptions<StopBrokerOptions>('options', options, ['graceful']);
    if (typeof graceful !== 'boolean') throw wrongValue('graceful', 'true or false', graceful);
    const starting = this.#starting.get(server);
    starting?.abort.abort();
    const { id } = server.node;
    if (this.#cluster.running(id)) {
      const cut = server.cut();
      this.#stoppedAt.set(server, this.#clock.now());
      this.#cluster.stopBroker(id, graceful);
      await cut;
    }
    await starting?.started.catch(() => {});
  }

  /** Starts a broker; resolves once it serves calls, and with `hold` once it is in that phase. */
  start(server: BrokerServer, given: StartBrokerOptions = {}): Promise<Recovery> {
    const options = readOptions<StartBrokerOptions>('options', given, START_OPTIONS);
    checkOptions(options);
    const starting = this.#starting.get(server);
    if (starting) return starting.started;
    const { id } = server.node;
    if (this.#cluster.running(id)) return Promise.resolve(this.#cluster.recovery(id) ?? READY);
    const abort = new AbortController();
    const started = this.#start(server, options, abort.signal).finally(() => this.#starting.delete(server));
    this.#starting.set(server, { started, abort });
    return started;
  }

  /** Resolves once every running broker is ready. */
  async ready(): Promise<void> {
    await Promise.all(Array.from(this.#recoveries(), ({ ready }) => ready));
  }

  /** Starts the stopped brokers and ends all recoveries. */
  async finish(): Promise<void> {
    for (const server of this.#servers) await this.start(server, { recoveryTime: 0 });
    await Promise.all(Array.from(this.#recoveries(), (recovery) => recovery.finish()));
  }

  /** Aborts all starts. */
  close(): void {
    for (const { abort } of this.#starting.values()) abort.abort();
  }

  async #start(server: BrokerServer, options: StartBrokerOptions, signal: AbortSignal): Promise<Recovery> {
    const { id } = server.node;
    if (options.loseRecreatedStreams) this.#cluster.loseRecreatedStreams(id);
    const away = this.#clock.now() - (this.#stoppedAt.get(server) ?? 0);
    const plan = options.silentPartitions ? null : this.#plan(options, this.#cluster.survives(id), away);
    if (plan === null) {
      if (options.silentPartitions) server.node.show(null);
      await this.#open(server, signal);
      if (options.silentPartitions) this.#cluster.startSilently(id);
      else this.#cluster.startBroker(id);
      return READY;
    }
    await pause(this.#clock, plan.refused, signal);
    if (signal.aborted) throw stoppedEarly();
    this.#cluster.prepareBroker(id);
    await this.#open(server, signal);
    const recovery = this.#cluster.recoverBroker(id, plan, options.hold ?? null);
    if (options.hold !== undefined) await recovery.held;
    return recovery;
  }

  async #open(server: BrokerServer, signal: AbortSignal): Promise<void> {
    await server.open();
    if (!signal.aborted) return;
    await server.cut();
    throw stoppedEarly();
  }

  /** The lengths of the phases; null for a restart without any. */
  #plan({ recoveryTime, hold }: StartBrokerOptions, survivors: boolean, away: number): RecoveryPlan | null {
    const total = recoveryTime ?? (hold === undefined ? this.#recoveryTime : 0);
    if (total === null) return realRecovery({ survivors, away, streams: this.#cluster.streamCount });
    if (total > 0) return scaledRecovery(total);
    return hold === undefined ? null : NO_RECOVERY;
  }

  *#recoveries() {
    for (const { node } of this.#servers) {
      const recovery = this.#cluster.recovery(node.id);
      if (recovery) yield recovery;
    }
  }
}

function stoppedEarly(): Error {
  return new Error('the broker was stopped before it served calls');
}

function checkOptions(options: StartBrokerOptions): void {
  const { recoveryTime, hold } = options;
  for (const name of ['silentPartitions', 'loseRecreatedStreams'] as const) {
    const value: unknown = options[name] ?? false;
    if (typeof value !== 'boolean') throw wrongValue(name, 'true or false', value);
  }
  if (options.silentPartitions && hold !== undefined)
    throw new BrokerOptionError('hold', hold, 'option hold contradicts silentPartitions, which skips all phases');
  if (recoveryTime !== undefined) milliseconds('recoveryTime', recoveryTime);
  if (hold !== undefined && !HELD_PHASES.includes(hold))
    throw wrongValue('hold', `one of ${HELD_PHASES.join(', ')}`, hold);
}
