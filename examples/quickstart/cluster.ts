import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';

const BROKERS = 3;
/** Milliseconds that the restarted broker takes to recover, in the phases of a real one. */
const RECOVERY = 300;
const PAUSE = 20;

/** The brokers that the tour runs on. */
export interface Cluster {
  readonly addresses: readonly string[];
  /** Absent on a cluster that is not ours to break. */
  readonly outage?: Outage;
  close(): Promise<void>;
}

/** One broker that is stopped and started again. */
export interface Outage {
  /** Stops the leader of a partition; answers its address. */
  stopLeader(stream: string, partition: number): Promise<string>;
  /** Starts it again. Does nothing when none was stopped, or it runs again. */
  startAgain(): Promise<void>;
  /** Resolves with the milliseconds from the start until the broker holds all of the stream again; null when none was started. */
  recovered(client: Client, stream: string): Promise<number | null>;
}

/** The cluster of LIFTBRIDGE_ADDRESSES, or three brokers in this process. */
export async function startCluster(): Promise<Cluster> {
  const given = process.env.LIFTBRIDGE_ADDRESSES;
  if (given) return { addresses: given.split(','), close: async () => undefined };
  const broker = await TestBroker.start({ brokers: BROKERS });
  return { addresses: broker.addresses, outage: outageOf(broker), close: () => broker.close() };
}

function outageOf(broker: TestBroker): Outage {
  let stopped: number | null = null;
  let started: number | null = null;
  return {
    async stopLeader(stream, partition) {
      stopped = broker.leaderOf(stream, partition);
      await broker.stopBroker(stopped);
      return broker.addresses[stopped]!;
    },
    async startAgain() {
      if (stopped === null || started !== null) return;
      started = performance.now();
      await broker.startBroker(stopped, { recoveryTime: RECOVERY });
    },
    async recovered(client, stream) {
      if (started === null) return null;
      await broker.ready();
      while (!(await isReplicated(client, stream))) await sleep(PAUSE);
      return performance.now() - started;
    },
  };
}

/** Whether every replica of every partition is in sync. */
async function isReplicated(client: Client, stream: string): Promise<boolean> {
  const { streams } = await client.fetchMetadata({ streams: [stream] });
  const partitions = [...(streams.get(stream)?.partitions.values() ?? [])];
  return partitions.length > 0 && partitions.every(({ isr, replicas }) => isr.length === replicas.length);
}
