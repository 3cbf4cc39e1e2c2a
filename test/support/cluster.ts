import { TestBroker } from 'liftbridge-test-broker';

/** The cluster that tests run against: the bundled broker, or a real one when LIFTBRIDGE_ADDRESSES names its addresses. */
export interface TestCluster extends AsyncDisposable {
  readonly addresses: readonly string[];
  /** Null when the cluster is a real one. */
  readonly broker: TestBroker | null;
  close(): Promise<void>;
}

const real = process.env.LIFTBRIDGE_ADDRESSES?.split(',').filter((address) => address !== '') ?? [];

/** Starts a cluster of this many brokers, with cursors and activity, unless a real one is given. */
export async function openCluster(brokers: number): Promise<TestCluster> {
  if (real.length > 0) {
    const close = async (): Promise<void> => undefined;
    return { addresses: real, broker: null, close, [Symbol.asyncDispose]: close };
  }
  const broker = await TestBroker.start({ brokers, cursorsPartitions: 3, activityStream: true });
  const close = (): Promise<void> => broker.close();
  return { addresses: broker.addresses, broker, close, [Symbol.asyncDispose]: close };
}

let names = 0;

/** A name that no other test uses, also on a cluster that keeps running. */
export function uniqueName(base = 'stream'): string {
  return `${base}-${process.pid}-${Date.now().toString(36)}-${++names}`;
}
