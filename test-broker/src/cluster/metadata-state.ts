import { type Group, GroupTable } from '../groups/group-table.js';
import { BrokerLoads } from './broker-loads.js';
import type { EventTimes, Operation, PartitionState, StreamState } from './contract.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface MutablePartition extends Mutable<PartitionState> {
  isr: Set<string>;
}

interface MutableStream extends Mutable<StreamState> {
  readonly partitions: MutablePartition[];
}

type Create = Extract<Operation, { kind: 'create-stream' }>;

const NEVER: EventTimes = Object.freeze({ first: 0n, latest: 0n });

/**
 * One broker's copy of the cluster's metadata. The same operations in the same order produce the same copy on every
 * broker; a broker that has applied fewer of them is behind.
 */
export class MetadataState {
  readonly #streams = new Map<string, MutableStream>();
  readonly #groups = new GroupTable((stream) => this.#streams.get(stream)?.partitions.length ?? 0);
  readonly loads = new BrokerLoads();

  stream(name: string): StreamState | undefined {
    return this.#streams.get(name);
  }

  partition(stream: string, id: number): PartitionState | undefined {
    return this.#streams.get(stream)?.partitions[id];
  }

  streams(): Iterable<StreamState> {
    return this.#streams.values();
  }

  group(id: string): Group | undefined {
    return this.#groups.get(id);
  }

  groups(): Iterable<Group> {
    return this.#groups.values();
  }

  /** Applies an operation; one on a stream that no longer exists changes nothing. */
  apply(operation: Operation, index: bigint): void {
    this.#applyToStreams(operation, index);
    this.#applyToGroups(operation, index);
  }

  /** The broker that resumed a stream for a publisher clears the flag at once, before the operation reaches it. */
  clearResumeAll(name: string): void {
    const stream = this.#streams.get(name);
    if (stream) stream.resumeAll = false;
  }

  /** Removes a stream from the groups that subscribe to it, as its deletion does. */
  dropFromGroups(stream: string, index: bigint): void {
    this.#groups.deleteStream(stream, index);
  }

  #applyToStreams(operation: Operation, index: bigint): void {
    switch (operation.kind) {
      case 'create-stream':
        this.#create(operation, index);
        return;
      case 'delete-stream':
        this.#delete(operation.name);
        return;
      case 'pause-stream':
        this.#pause(operation);
        return;
      case 'resume-stream':
        this.#resume(operation);
        return;
      case 'set-readonly':
        this.#setReadonly(operation);
        return;
      case 'change-leader':
        this.#changeLeader(operation, index);
        return;
      case 'shrink-isr':
        this.#streams.get(operation.stream)?.partitions[operation.partition]?.isr.delete(operation.replica);
        return;
      case 'expand-isr':
        this.#streams.get(operation.stream)?.partitions[operation.partition]?.isr.add(operation.replica);
        return;
    }
  }

  #applyToGroups(operation: Operation, index: bigint): void {
    switch (operation.kind) {
      case 'join-group':
        this.#groups.join(operation.group, operation.consumer, operation.streams, operation.coordinator ?? '', index);
        return;
      case 'leave-group':
        this.#groups.leave(operation.group, operation.consumer, index);
        return;
      case 'change-coordinator':
        this.#groups.changeCoordinator(operation.group, operation.coordinator, index);
        return;
      case 'delete-stream':
        this.#groups.deleteStream(operation.name, index);
        return;
    }
  }

  #create(operation: Create, index: bigint): void {
    const { name, subject, group, replicationFactor, config, createdAt = 0n, placement = [] } = operation;
    const partitions = placement.map(({ replicas, leader }, id) => ({
      stream: name,
      id,
      subject: id === 0 ? subject : `${subject}.${id}`,
      replicas,
      isr: new Set(replicas),
      leader,
      leaderEpoch: index,
      paused: false,
      readonly: false,
      reportedPaused: false,
      reportedReadonly: false,
      pauseTimes: NEVER,
      readonlyTimes: NEVER,
    }));
    this.#streams.set(name, {
      name,
      subject,
      group,
      replicationFactor,
      config,
      createdAt,
      createdBy: index,
      resumeAll: false,
      partitions,
    });
    for (const partition of partitions) this.loads.add(partition);
  }

  #delete(name: string): void {
    const stream = this.#streams.get(name);
    if (!stream) return;
    this.#streams.delete(name);
    for (const partition of stream.partitions) this.loads.remove(partition);
  }

  #pause({ name, partitions, resumeAll, at = 0n }: Extract<Operation, { kind: 'pause-stream' }>): void {
    const stream = this.#streams.get(name);
    if (!stream) return;
    stream.resumeAll = resumeAll;
    for (const [position, partition] of chosen(stream, partitions).entries()) {
      partition.paused = true;
      partition.reportedPaused = true;
      partition.pauseTimes = touch(partition.pauseTimes, at + BigInt(position));
      this.loads.remove(partition);
    }
  }

  /** Metadata responses keep `paused`; a readonly partition becomes writable again. */
  #resume({ name, partitions, at = 0n }: Extract<Operation, { kind: 'resume-stream' }>): void {
    const stream = this.#streams.get(name);
    if (!stream) return;
    for (const partition of chosen(stream, partitions)) {
      if (!partition.paused) continue;
      partition.paused = false;
      partition.readonly = false;
      partition.pauseTimes = touch(partition.pauseTimes, at);
      this.loads.add(partition);
    }
  }

  #setReadonly(operation: Extract<Operation, { kind: 'set-readonly' }>): void {
    const stream = this.#streams.get(operation.name);
    if (!stream) return;
    for (const [position, partition] of chosen(stream, operation.partitions).entries()) {
      partition.readonly = operation.readonly;
      partition.reportedReadonly = operation.readonly;
      partition.readonlyTimes = touch(partition.readonlyTimes, (operation.at ?? 0n) + BigInt(position));
    }
  }

  #changeLeader(operation: Extract<Operation, { kind: 'change-leader' }>, index: bigint): void {
    const partition = this.#streams.get(operation.stream)?.partitions[operation.partition];
    if (!partition) return;
    if (!partition.paused) this.loads.move(partition.leader, operation.leader);
    partition.leader = operation.leader;
    partition.leaderEpoch = index;
  }
}

/** The partitions in the order of the list. Like the server, handles a partition twice that is listed twice. */
function chosen(stream: MutableStream, ids: readonly number[]): readonly MutablePartition[] {
  if (ids.length === 0) return stream.partitions;
  return ids.map((id) => stream.partitions[id]).filter((partition) => partition !== undefined);
}

/** Records an event at this time. */
function touch(times: EventTimes, at: bigint): EventTimes {
  return { first: times.first === 0n ? at : times.first, latest: at };
}
