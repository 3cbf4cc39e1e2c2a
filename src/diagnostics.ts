/**
 * The diagnostics channels of the package, one for each event of a client. Every message is an object with `client`,
 * the Client concerned, and the fields of the event. A channel without subscribers costs nothing.
 *
 * | channel | when | fields |
 * |---|---|---|
 * | `liftbridge:connect` | a broker answered, for the first time or after a loss | `broker` { id, address } |
 * | `liftbridge:disconnect` | a broker stopped answering | `broker`, `error` |
 * | `liftbridge:metadata` | the cached metadata was replaced | `metadata` |
 * | `liftbridge:leaderChange` | a partition has another leader | `stream`, `partition`, `from`, `to` (broker ids or null) |
 * | `liftbridge:retry` | a call failed and is tried again | `operation`, `attempt`, `delay` (ms), `error` |
 * | `liftbridge:resubscribe` | a subscription broke and was opened again | `stream`, `partition`, `position`, `error` |
 * | `liftbridge:rebalance` | a consumer group was rebalanced | `groupId`, `consumerId`, `epoch`, `assignments`, `assigned`, `revoked` |
 * | `liftbridge:asyncError` | work without a waiting caller failed | `error` |
 *
 * @module
 */
import { type Channel, channel } from 'node:diagnostics_channel';
import { type ClusterEvents, EVENT_NAMES } from './cluster/cluster-api.js';
import { jsonableBy } from './protocol/json.js';

const channels = Object.fromEntries(EVENT_NAMES.map((name) => [name, channel(`liftbridge:${name}`)])) as {
  readonly [Name in keyof ClusterEvents]: Channel;
};

/** A client is no value: it is left out of JSON. */
const report = jsonableBy<object>((event) => ({ ...event, client: undefined }));

/** Publishes an event of a client on its channel. */
export function publishDiagnostics<Name extends keyof ClusterEvents>(
  client: object,
  name: Name,
  event: ClusterEvents[Name],
): void {
  const target = channels[name];
  if (!target.hasSubscribers) return;
  const [payload] = event;
  if (name === 'asyncError') target.publish(report({ client, error: payload }));
  else if (name === 'metadata') target.publish(report({ client, metadata: payload }));
  else target.publish(report({ client, ...(payload as object | undefined) }));
}
