import type { Clock, ClockTimer } from '../clock.js';
import { RpcError } from '../grpc/status.js';
import { chooseCoordinator } from './coordinator-choice.js';
import type { Group } from './group-table.js';

/** The result of a report: wait for more of them, or this broker now coordinates the group. */
export type ReportOutcome = { readonly coordinator: string | null };

interface Witnesses {
  readonly consumers: Set<string>;
  timer: ClockTimer;
}

/**
 * Counts the reports of consumers that cannot reach the coordinator of their group, on the metadata leader. Reports of
 * more than half of the members replace the coordinator. Reports expire when too few others follow in time.
 */
export class CoordinatorReports {
  readonly #witnesses = new Map<string, Witnesses>();
  readonly #clock: Clock;
  readonly #timeout: number;
  readonly #keep: boolean;

  /**
   * `timeout`: milliseconds after the last report at which all expire. `keepWitnesses`: like the real server, keeps the
   * reporters of a failover, so that one more report causes the next; default false.
   */
  constructor(clock: Clock, options: { readonly timeout: number; readonly keepWitnesses?: boolean }) {
    this.#clock = clock;
    this.#timeout = options.timeout;
    this.#keep = options.keepWitnesses ?? false;
  }

  /**
   * Counts a valid report. `brokers` and `groups` are those of the cluster, brokers in the order of the configuration.
   * Throws FAILED_PRECONDITION when no broker can take over.
   */
  report(group: Group, consumer: string, brokers: Iterable<string>, groups: Iterable<Group>): ReportOutcome {
    const seen = this.#add(group.id, consumer);
    const quorum = Math.floor(group.members.size / 2) + 1;
    if (seen.size < quorum) return { coordinator: null };
    const coordinator = chooseCoordinator(brokers, groups, group.coordinator);
    if (coordinator === null) throw new RpcError('FAILED_PRECONDITION', 'No group coordinator candidates');
    this.#succeed(group.id);
    return { coordinator };
  }

  /** Discards all reports: another broker is the metadata leader now, or this one stops. */
  clear(): void {
    for (const { timer } of this.#witnesses.values()) timer.cancel();
    this.#witnesses.clear();
  }

  #add(group: string, consumer: string): Set<string> {
    const known = this.#witnesses.get(group);
    known?.timer.cancel();
    const consumers = known?.consumers ?? new Set<string>();
    consumers.add(consumer);
    const timer = this.#clock.after(this.#timeout, () => this.#witnesses.delete(group));
    this.#witnesses.set(group, { consumers, timer });
    return consumers;
  }

  #succeed(group: string): void {
    this.#witnesses.get(group)?.timer.cancel();
    if (!this.#keep) this.#witnesses.delete(group);
  }
}
