import { errorText } from 'liftbridge-client/protocol';
import { BrokerServer } from './broker-server.js';
import { MovableClock } from './clock.js';
import { Cluster } from './cluster/cluster.js';
import { DataDir } from './cluster/data-dir.js';
import { checkMasterKey } from './cluster/master-key.js';
import { OperationFile } from './cluster/operation-file.js';
import type { LoggedOperation } from './cluster/operation-log.js';
import { Faults } from './faults.js';
import { type BusEndpoint, openBus } from './nats/bus-endpoint.js';
import type { ResolvedOptions } from './options.js';
import { Restarts } from './restarts.js';

/** The parts of a running test broker. */
export interface BrokerParts {
  readonly clock: MovableClock;
  readonly faults: Faults;
  readonly cluster: Cluster;
  /** One for each broker, by its index. */
  readonly servers: readonly BrokerServer[];
  readonly restarts: Restarts;
  readonly endpoint: BusEndpoint;
  /** Closes all parts, the last opened first. */
  readonly release: () => Promise<void>;
}

interface ClusterParts extends Pick<BrokerParts, 'clock' | 'faults' | 'endpoint'> {
  readonly dataDir: DataDir | null;
}

/** Steps that close what is open so far; they run in reverse order. */
type Undo = (() => Promise<void> | void)[];

/**
 * Opens the bus, the data directory, the cluster and its ports. Resolves once the brokers serve calls. Closes everything
 * again and rejects when one of them does not open.
 */
export async function openBroker(options: ResolvedOptions): Promise<BrokerParts> {
  checkMasterKey(options.settings);
  const undo: Undo = [];
  try {
    return await openParts(options, undo);
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  }
}

async function openParts(options: ResolvedOptions, undo: Undo): Promise<BrokerParts> {
  const clock = new MovableClock();
  undo.push(() => clock.stop());
  const dataDir = options.dataDir === null ? null : DataDir.open(options.dataDir);
  if (dataDir) undo.push(() => dataDir.release());
  const ids = dataDir ? dataDir.brokerIds(brokerIds(options)) : brokerIds(options);
  const endpoint = await openBus(options, ids[0]!, warn);
  undo.push(() => endpoint.close());
  const faults = new Faults(options.brokers);
  faults.attachNats((up) => endpoint.setReachable(up));
  const cluster = openCluster(options, ids, { clock, faults, endpoint, dataDir }, undo);
  const nodes = [...cluster.nodes.values()];
  const servers = nodes.map((node, i) => new BrokerServer(node, options.port && options.port + i, options, warn));
  for (const server of servers) undo.push(() => server.cut());
  const restarts = new Restarts(cluster, servers, clock, options);
  undo.push(() => restarts.close());
  await restarts.open();
  // By the stored metadata: a broker that recovers does not show it yet.
  dataDir?.sweep(nodes.map(({ id, metadata }) => ({ id, streams: () => metadata.streams() })));
  const release = async () => {
    for (const step of undo.reverse()) await step();
  };
  return { clock, faults, cluster, servers, restarts, endpoint, release };
}

/** Makes the cluster and restores what the data directory holds. */
function openCluster(
  options: ResolvedOptions,
  brokers: readonly string[],
  { clock, faults, endpoint, dataDir }: ClusterParts,
  undo: Undo,
): Cluster {
  const storage = dataDir ? dataDir.partitions(warn) : null;
  const cluster = new Cluster({
    brokers,
    clock,
    bus: endpoint.bus,
    settings: options,
    faults,
    storage: (broker, stream, partition) => storage?.open(broker, stream, partition) ?? null,
    warn,
  });
  undo.push(() => storage?.close());
  if (dataDir) {
    const file = new OperationFile(dataDir.operations, (entry) => cluster.log.restore(restamped(entry, clock)), warn);
    cluster.log.store = file;
    undo.push(() => file.close());
  }
  undo.push(() => cluster.close());
  return cluster;
}

/** The data directory does not keep the times of pauses and of readonly: the time of the restart takes their place. */
function restamped(entry: LoggedOperation, clock: MovableClock): LoggedOperation {
  const { index, operation } = entry;
  return 'at' in operation ? { index, operation: { ...operation, at: clock.nanos() } } : entry;
}

function brokerIds({ brokers, settings }: ResolvedOptions): readonly string[] {
  const given = settings['clustering.server.id'];
  if (brokers === 1 && given !== null) return [given];
  return Array.from({ length: brokers }, (_, index) => `${given ?? 'broker'}-${index}`);
}

function warn(message: string): void {
  process.emitWarning(errorText(message), 'TestBrokerWarning');
}
