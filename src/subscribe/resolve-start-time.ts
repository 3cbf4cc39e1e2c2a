import type { ReceivedMessage } from '../protocol/received-message.js';
import type { Range } from './positions.js';

/** Reads the first message of a range; null when nothing comes. */
export type ReadFirst = (start: Range['start']) => Promise<ReceivedMessage | null>;

/**
 * The offset of the first message at or after a time, one after the last message when all are before it. `newest` is the
 * newest committed offset. The broker is asked first, but not taken at its word: while its newest segment is empty it
 * finds nothing and begins behind the end.
 */
export async function resolveStartTime(read: ReadFirst, time: bigint, newest: bigint): Promise<bigint> {
  const last = newest < 0n ? null : await read({ at: 'offset', offset: newest });
  // Nothing is retained, or nothing old enough to matter.
  if (last === null || last.timestamp < time) return newest + 1n;
  const found = await read({ at: 'time', time });
  if (found !== null && found.offset <= last.offset && found.timestamp >= time) return found.offset;
  return await search(read, time, last.offset);
}

/** Halves the retained range, whose newest message is at `newest` and known to be late enough, one read a step. */
async function search(read: ReadFirst, time: bigint, newest: bigint): Promise<bigint> {
  const oldest = await read({ at: 'offset', offset: 0n });
  if (oldest === null || oldest.timestamp >= time) return oldest?.offset ?? newest;
  let early = oldest.offset;
  let late = newest;
  while (late - early > 1n) {
    const middle = (early + late) / 2n;
    const message = await read({ at: 'offset', offset: middle });
    // Offsets may be missing: `message` is the first one from `middle` on.
    if (message === null || message.timestamp >= time) late = middle;
    else early = message.offset > middle ? message.offset : middle;
  }
  return late;
}
