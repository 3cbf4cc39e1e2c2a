import type { BrokerNode, StreamState } from './contract.js';

const NO_PARTITIONS: readonly number[] = Object.freeze([]);

/**
 * The partitions to resume before this partition can be used: all paused ones when the stream was paused with
 * `resumeAll`.
 */
export function pausedPartitions(stream: StreamState, partition: number): readonly number[] {
  if (stream.resumeAll) return stream.partitions.filter(({ paused }) => paused).map(({ id }) => id);
  return stream.partitions[partition]?.paused ? [partition] : NO_PARTITIONS;
}

/** Resumes partitions of a stream. Rejects with RpcError. */
export async function resume(
  node: BrokerNode,
  stream: string,
  partitions: readonly number[],
  deadline: number | null,
): Promise<void> {
  const failurePrefix = 'Failed to resume stream';
  await node.propose({ kind: 'resume-stream', name: stream, partitions }, { deadline, failurePrefix });
}
