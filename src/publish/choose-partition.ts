import { HandlerError, InvalidArgumentError } from '../errors.js';
import { describe } from '../options.js';
import type { Partitioner, PartitionerMessage } from './partitioners.js';

/** Calls the partitioner of the message, if any. Throws HandlerError when it throws, InvalidArgumentError for a result out of range. */
export function choosePartition(
  message: PartitionerMessage & { readonly partitioner: Partitioner | null },
  count: number,
): number {
  const { stream, key, value, partitioner } = message;
  if (partitioner === null) return 0;
  let partition: unknown;
  try {
    partition = partitioner({ stream, key, value }, count);
  } catch (error) {
    const text = `Publish to stream "${stream}" refused: its partitioner threw. Nothing was sent.`;
    throw new HandlerError(text, { stream, operation: 'Publish', cause: error });
  }
  if (Number.isInteger(partition) && (partition as number) >= 0 && (partition as number) < count)
    return partition as number;
  throw new InvalidArgumentError(
    `Publish to stream "${stream}" refused: expected its partitioner to return an integer from 0 to ${count - 1}, got ${describe(partition)}. Nothing was sent.`,
    { stream, operation: 'Publish' },
  );
}
