import type { Clock } from '../clock.js';
import type { Connectivity } from './connectivity.js';
import type { Node } from './node.js';
import type { Replica } from './partition.js';
import { ReplicationLink } from './replication.js';
import type { ClusterTiming } from './timing.js';

/** Proposes a change of the ISR. */
export type ProposeIsr = (
  leader: string,
  kind: 'shrink-isr' | 'expand-isr',
  replica: Replica,
  follower: string,
) => void;

/** The replication between all brokers: one link for each leader and follower. */
export class ReplicationLinks {
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #connectivity: Connectivity;
  readonly #proposeIsr: ProposeIsr;
  /** By leader, then by follower. */
  readonly #links = new Map<string, Map<string, ReplicationLink>>();

  constructor(
    nodes: ReadonlyMap<string, Node>,
    connectivity: Connectivity,
    proposeIsr: ProposeIsr,
    clock: Clock,
    timing: ClusterTiming,
  ) {
    this.#nodes = nodes;
    this.#connectivity = connectivity;
    this.#proposeIsr = proposeIsr;
    for (const leader of nodes.keys()) {
      const links = new Map<string, ReplicationLink>();
      for (const follower of nodes.keys()) {
        if (follower !== leader) links.set(follower, new ReplicationLink(this.#ends(leader, follower), clock, timing));
      }
      this.#links.set(leader, links);
    }
    connectivity.onChange(() => this.#reconnect());
  }

  /** A leader has new messages for its followers. */
  appended(leader: string, replica: Replica): void {
    for (const follower of replica.state.replicas) this.#links.get(leader)!.get(follower)?.wake(replica);
  }

  /** The high watermark of a leader has moved. */
  committed(leader: string, replica: Replica): void {
    for (const follower of replica.state.replicas) this.#links.get(leader)!.get(follower)?.inform(replica);
  }

  /** A follower is ready to fetch messages. */
  following(follower: string, replica: Replica): void {
    const { leader } = replica.state;
    const source = this.#nodes.get(leader)?.replicas.get(replica.stream, replica.id);
    if (source?.leading) this.#links.get(leader)!.get(follower)?.wake(source);
  }

  /** Makes a follower fetch all messages of a partition at once. */
  catchUp(leader: string, follower: string, stream: string, partition: number): void {
    const source = this.#nodes.get(leader)?.replicas.get(stream, partition);
    if (source) this.#links.get(leader)!.get(follower)?.catchUp(source);
  }

  close(): void {
    for (const links of this.#links.values()) for (const link of links.values()) link.close();
  }

  #reconnect(): void {
    for (const links of this.#links.values()) for (const link of links.values()) link.reconnect();
  }

  #ends(leader: string, follower: string) {
    const leading = this.#nodes.get(leader)!;
    const following = this.#nodes.get(follower)!;
    return {
      leader,
      follower,
      connected: () => this.#connectivity.replicating(leader, follower),
      counterpart: ({ stream, id }: Replica) => {
        const replica = following.replicas.get(stream, id);
        if (!replica || following.replicas.isDormant(replica)) return undefined;
        const ready = replica.log.state === 'open' && !replica.leading && replica.state.leader === leader;
        return ready ? replica : undefined;
      },
      shared: () => ledWith(leading, follower),
      shrink: (replica: Replica) => this.#proposeIsr(leader, 'shrink-isr', replica, follower),
      warn: following.warn,
      expand: (replica: Replica) => this.#proposeIsr(leader, 'expand-isr', replica, follower),
    };
  }
}

/**
 * The partitions that a broker leads and another one replicates. A list, because proposals change the set of replicas.
 */
function ledWith(leader: Node, follower: string): Replica[] {
  return [...leader.replicas].filter((replica) => replica.leading && replica.state.replicas.includes(follower));
}
