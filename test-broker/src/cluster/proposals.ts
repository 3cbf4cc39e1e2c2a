import { RpcError } from '../grpc/status.js';
import type { Bus } from '../nats/bus.js';
import type { Connectivity } from './connectivity.js';
import type { GroupGeneration, Operation, PartitionState } from './contract.js';
import type { Controller, ProposeOptions } from './controller.js';
import type { Member } from './member.js';
import type { JoinGroup, Node } from './node.js';

/** The parts of a cluster that {@link Proposals} work with. */
export interface ProposalsHost {
  readonly bus: Bus;
  readonly controller: Controller;
  readonly connectivity: Connectivity;
  readonly members: ReadonlyMap<string, Member>;
  /** A broker whose metadata is as new as that of any other. */
  newest(): Node;
}

/** The operations that brokers propose to the metadata leader, for their clients and on their own. */
export class Proposals {
  readonly #host: ProposalsHost;

  constructor(host: ProposalsHost) {
    this.#host = host;
  }

  /** See `BrokerNode.propose`. */
  async propose(broker: string, operation: Operation, options: ProposeOptions): Promise<bigint> {
    const { bus, controller } = this.#host;
    const index = await controller.propose(broker, operation, options);
    if (operation.kind === 'create-stream' || operation.kind === 'resume-stream') {
      await this.#awaitLeaders(broker, operation.name);
      // A NATS server outside the process must know the subscriptions before a client publishes.
      await bus.flush();
    }
    return index;
  }

  /** See `BrokerNode.joinGroup`. */
  async joinGroup(broker: string, operation: JoinGroup, options: ProposeOptions): Promise<GroupGeneration> {
    await this.#host.controller.propose(broker, operation, options);
    const group = this.#host.newest().metadata.group(operation.group);
    // Its only member may have left in the meantime.
    if (!group) throw new RpcError('NOT_FOUND', 'consumer group does not exist');
    return { coordinator: group.coordinator, epoch: group.epoch };
  }

  /** The metadata leader that a broker knows and reaches; null for none. */
  leaderOf(broker: string): string | null {
    const { leader } = this.#host.members.get(broker)!;
    return leader !== null && this.#host.connectivity.connected(broker, leader) ? leader : null;
  }

  /** The metadata leader makes another replica the leader of a partition, whose own leader has failed. */
  changeLeader(controller: string, { stream, id, leader: former }: PartitionState, leader: string): void {
    this.#commitOwn(controller, { kind: 'change-leader', stream, partition: id, leader });
    // Both at once: in between, no broker would store what clients publish.
    this.#host.controller.catchUp([former, leader]);
  }

  /** The leader of a partition takes a follower out of the ISR, or into it. */
  changeIsr(leader: string, kind: 'shrink-isr' | 'expand-isr', { stream, id }: PartitionOf, follower: string): void {
    const controller = this.leaderOf(leader);
    if (controller === null) return;
    this.#commitOwn(controller, { kind, stream, partition: id, replica: follower });
    this.#host.controller.catchUp([leader]);
  }

  /** Waits until the leaders of a stream run it; the wait for a broker that is down is short. */
  async #awaitLeaders(broker: string, stream: string): Promise<void> {
    const partitions = this.#host.newest().metadata.stream(stream)?.partitions ?? [];
    const leaders = new Set(partitions.map(({ leader }) => leader));
    leaders.delete(broker);
    // The stream is created even when a leader stops meanwhile.
    await Promise.allSettled(Array.from(leaders, (leader) => this.#host.controller.applied(leader)));
  }

  /** Brokers repeat their own proposals, so that a lost one needs no report. */
  #commitOwn(controller: string, operation: Operation): void {
    try {
      this.#host.controller.commitNow(controller, operation);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
    }
  }
}

/** Names a partition. */
interface PartitionOf {
  readonly stream: string;
  readonly id: number;
}
