import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Client } from 'liftbridge-client';
import { eventually } from './eventually.js';

const run = promisify(execFile);

/** Addresses of the nodes, in the order of the command's indexes. */
const ADDRESSES = process.env.LIFTBRIDGE_ADDRESSES?.split(',').filter((address) => address !== '') ?? [];
/** A shell command that takes `kill I`, `term I`, `up I`, `pause I` or `cont I` as arguments, for the node with index I. */
const COMMAND = process.env.LIFTBRIDGE_CLUSTER_COMMAND ?? '';

/** Why the tests on a real cluster do not run; null when they do. */
export const withoutRealCluster: string | null =
  ADDRESSES.length >= 3 && COMMAND !== ''
    ? null
    : 'needs a real cluster: LIFTBRIDGE_ADDRESSES with three nodes, LIFTBRIDGE_CLUSTER_COMMAND with the command that stops and starts them';

/** The actions of the command on a node: SIGKILL, SIGTERM, start, SIGSTOP, SIGCONT. */
export type NodeVerb = 'kill' | 'term' | 'up' | 'pause' | 'cont';

/** The nodes of the real cluster that the environment names. */
export class RealCluster implements AsyncDisposable {
  readonly addresses = ADDRESSES;
  readonly #down = new Set<number>();
  readonly #frozen = new Set<number>();

  /** Runs this action on the node, and records how to undo it. */
  async node(verb: NodeVerb, index: number): Promise<void> {
    await run('bash', ['-c', `${COMMAND} ${verb} ${index}`]);
    if (verb === 'kill' || verb === 'term') this.#down.add(index);
    if (verb === 'up') this.#down.delete(index);
    if (verb === 'pause') this.#frozen.add(index);
    if (verb === 'cont') this.#frozen.delete(index);
  }

  /** Index of the node that leads the partition, when a leader is known. */
  async leaderOf(client: Client, stream: string, partition: number): Promise<number> {
    return await eventually(`a leader of ${stream}/${partition}`, async () => {
      const { streams } = await client.fetchMetadata({ streams: [stream] });
      const leader = streams.get(stream)?.partitions.get(partition)?.leader;
      return leader === undefined || leader === null ? undefined : this.addresses.indexOf(leader.address);
    });
  }

  /** Resolves when every replica of every partition is in sync. */
  async inSync(client: Client, stream: string): Promise<void> {
    await eventually(`all replicas of ${stream} in sync`, async () => {
      const { streams } = await client.fetchMetadata({ streams: [stream] });
      const partitions = [...(streams.get(stream)?.partitions.values() ?? [])];
      const whole = partitions.every(({ leader, isr }) => leader !== null && isr.length === this.addresses.length);
      return partitions.length > 0 && whole ? true : undefined;
    });
  }

  /** Makes every node run again after a test. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const index of [...this.#frozen]) await this.node('cont', index);
    for (const index of [...this.#down]) await this.node('up', index);
  }
}
