import { pause } from '../pause.js';
import type { Settings } from '../settings.js';
import type { StreamConfig } from './contract.js';
import type { Node } from './node.js';
import { ACTIVITY_STREAM, CURSORS_STREAM } from './partition-config.js';

const FIRST_EVENT_DELAY_MS = 200;
const OPTIONS = Object.freeze({ deadline: null, failurePrefix: 'Failed to replicate partition' });

/** Creates the missing internal streams that the settings ask for, on the metadata leader. */
export async function createInternalStreams(node: Node, settings: Settings): Promise<void> {
  const namespace = settings['clustering.namespace'];
  if (settings['activity.stream.enabled'] && !node.stream(ACTIVITY_STREAM)) {
    const recorded = firstEvent(node);
    await create(node, ACTIVITY_STREAM, `${namespace}.activity`, 1, -1, {});
    await recorded;
  }
  const partitions = settings['cursors.stream.partitions'];
  const factor = settings['cursors.stream.replication.factor'];
  const config: StreamConfig = {
    compactEnabled: true,
    autoPauseTime: settings['cursors.stream.auto.pause.time'],
    autoPauseDisableIfSubscribers: true,
  };
  if (partitions > 0) await create(node, CURSORS_STREAM, `${namespace}.cursors`, partitions, factor, config);
}

async function create(
  node: Node,
  name: string,
  subject: string,
  partitionCount: number,
  replicationFactor: number,
  config: StreamConfig,
): Promise<void> {
  if (node.stream(name)) return;
  const factor = Math.min(replicationFactor, node.clusterSize);
  const stream = { name, subject, group: '', replicationFactor: factor, partitionCount, config };
  await node.propose({ kind: 'create-stream', ...stream }, OPTIONS);
}

/**
 * Resolves when the activity stream has recorded its own creation, or after a short time; the next stream waits for it.
 */
function firstEvent(node: Node): Promise<void> {
  const recorded = new AbortController();
  const unlisten = node.onApplied((_index, { kind }) => kind === 'activity-published' && recorded.abort());
  return pause(node.clock, FIRST_EVENT_DELAY_MS, recorded.signal).finally(unlisten);
}
