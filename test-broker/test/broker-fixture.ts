import type { ChannelCredentials } from '@grpc/grpc-js';
import { TestBroker, type TestBrokerOptions } from 'liftbridge-test-broker';
import { vi } from 'vitest';
import { type Closable, closing, closingWithFile } from '../../test/support/closing.js';
import { elapsed } from '../src/elapsed.js';
import { ApiClient, type RequestOf, type UnaryName } from './api/api-client.js';

/** A broker and a client of it. */
interface SingleBroker {
  readonly broker: TestBroker;
  readonly api: ApiClient;
}

/** A broker or a cluster for the current test, and a client of each of its brokers. */
export async function openBroker(options: TestBrokerOptions = {}, security?: ChannelCredentials) {
  return withClients(await TestBroker.start(options), closing, security);
}

/** The same for all tests of a file. Call it in `beforeAll`. */
export async function shareBroker(options: TestBrokerOptions = {}, security?: ChannelCredentials) {
  return withClients(await TestBroker.start(options), closingWithFile, security);
}

function withClients(broker: TestBroker, close: (opened: Closable) => Closable, security?: ChannelCredentials) {
  close(broker);
  const apis = broker.addresses.map((address) => new ApiClient(address, security));
  for (const api of apis) close(api);
  return { broker, apis, api: apis[0]! };
}

/** Far longer than any test. */
const DEADLINE_MS = 3_600_000;

/** The end of a call without a response: its deadline passes on the broker's clock. */
export async function expiry<N extends UnaryName>({ broker, api }: SingleBroker, name: N, request: RequestOf<N>) {
  const end = api.failure(name, request, DEADLINE_MS);
  // Both calls use one connection: the response to the later one shows that the earlier one has arrived.
  await api.call('FetchMetadata', {});
  await broker.clock.advance(DEADLINE_MS);
  return end;
}

/**
 * Stops the brokers' clock until it is restarted or the test is over: only `advance` moves it. For events that must
 * precede a timeout of the server that no setting changes.
 */
export function freezeClock(): { thaw(): void } {
  const now = vi.spyOn(elapsed, 'now').mockReturnValue(elapsed.now());
  const thaw = () => now.mockRestore();
  closing({ close: thaw });
  return { thaw };
}

/** Names of streams that no other test of the file uses. */
export function names(base: string): () => string {
  let count = 0;
  return () => `${base}-${count++}`;
}
