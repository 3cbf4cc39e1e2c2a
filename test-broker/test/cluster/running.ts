import { closing } from '../../../test/support/closing.js';
import { TestBroker } from '../../src/broker.js';
import type { TestBrokerOptions } from '../../src/options.js';
import { ApiClient, eventually } from './clients.js';

/** A broker or a cluster for one test, and a client of each of its brokers. */
export async function running(options: TestBrokerOptions = {}) {
  const broker = closing(await TestBroker.start(options));
  const clients = broker.addresses.map((address) => closing(new ApiClient(address)));
  return { broker, clients, client: clients[0]! };
}

/** Resolves when every broker knows a stream: they receive it some milliseconds after the metadata leader. */
export async function known(stream: string, clients: readonly ApiClient[]): Promise<void> {
  const ask = (client: ApiClient) => client.call('fetchMetadata', { streams: [stream] });
  for (const client of clients)
    await eventually(
      () => ask(client),
      ({ streamMetadata }) => streamMetadata[0].error === 'OK',
    );
}

/** A cluster of three with the stream `s` on all of them, and its leader and the followers by index. */
export async function threeBrokers(stream: object = {}, options: TestBrokerOptions = {}) {
  const cluster = await running({ brokers: 3, ...options });
  await cluster.client.createStream('s', { replicationFactor: 3, ...stream });
  await known('s', cluster.clients);
  const leader = cluster.broker.leaderOf('s', 0);
  const [follower, other] = [0, 1, 2].filter((index) => index !== leader);
  return { ...cluster, leader, follower: follower!, other: other! };
}
