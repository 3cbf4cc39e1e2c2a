import type { Clock } from '../clock.js';
import type { UnawareLeader } from '../faults/unaware-leader.js';
import { chooseCoordinator } from '../groups/coordinator-choice.js';
import type { CoordinatorReports } from '../groups/reports.js';
import { RpcError } from '../grpc/status.js';
import { checkOperation, replicaCount } from './checks.js';
import type { Operation } from './contract.js';
import type { Validator } from './controller.js';
import type { Node } from './node.js';
import { placeStream } from './placement.js';

/** Validates and completes operations by the metadata of the metadata leader. */
export class OperationValidator implements Validator {
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #clock: Clock;
  readonly #reports: CoordinatorReports;
  readonly #unaware: UnawareLeader;

  constructor(nodes: ReadonlyMap<string, Node>, clock: Clock, reports: CoordinatorReports, unaware: UnawareLeader) {
    this.#nodes = nodes;
    this.#clock = clock;
    this.#reports = reports;
    this.#unaware = unaware;
  }

  check(leader: string, operation: Operation): void {
    const node = this.#nodes.get(leader)!;
    // This leader looked the group up before it had applied its log, and notices only when it creates the group.
    if (operation.kind === 'join-group' && node.group(operation.group) && this.#unaware.take())
      throw new RpcError('FAILED_PRECONDITION', 'consumer group already exists');
    checkOperation(operation, node);
  }

  complete(leader: string, operation: Operation): Operation | null {
    const { metadata } = this.#nodes.get(leader)!;
    switch (operation.kind) {
      case 'create-stream':
        return { ...operation, createdAt: this.#clock.nanos(), placement: this.#place(leader, operation) };
      case 'pause-stream':
      case 'resume-stream':
      case 'set-readonly':
        return { ...operation, at: this.#clock.nanos() };
      case 'join-group': {
        if (metadata.group(operation.group)) return operation;
        return { ...operation, coordinator: chooseCoordinator(this.#nodes.keys(), metadata.groups())! };
      }
      case 'report-coordinator':
        return this.#hearReport(leader, operation);
      default:
        return operation;
    }
  }

  #place(leader: string, operation: Extract<Operation, { kind: 'create-stream' }>) {
    const brokers = [...this.#nodes.keys()];
    const { loads } = this.#nodes.get(leader)!.metadata;
    const factor = replicaCount(operation.replicationFactor, brokers.length);
    return placeStream(brokers, loads, factor, operation.partitionCount);
  }

  #hearReport(leader: string, operation: Extract<Operation, { kind: 'report-coordinator' }>): Operation | null {
    const { metadata } = this.#nodes.get(leader)!;
    const group = metadata.group(operation.group)!;
    const { coordinator } = this.#reports.report(group, operation.consumer, this.#nodes.keys(), metadata.groups());
    return coordinator === null ? null : { kind: 'change-coordinator', group: operation.group, coordinator };
  }
}
