import type { Node } from './node.js';

const OPTIONS = Object.freeze({ deadline: null, failurePrefix: 'Failed to reset' });

/** Makes the metadata leader delete every group and every stream. */
export async function clearMetadata(node: Node): Promise<void> {
  // Clients may continue meanwhile, so each step looks the names up again.
  for (const [group, consumer] of membersOf(node)) {
    if (node.group(group)?.members.has(consumer))
      await node.propose({ kind: 'leave-group', group, consumer, expired: false }, OPTIONS);
  }
  for (const { name } of [...node.streams()])
    if (node.stream(name)) await node.propose({ kind: 'delete-stream', name }, OPTIONS);
}

/** Every member of every group, as group and consumer. */
function membersOf(node: Node): readonly (readonly [string, string])[] {
  return [...node.groups()].flatMap(({ id, members }) =>
    Array.from(members.keys(), (consumer) => [id, consumer] as const),
  );
}
