import { LogError } from './log-error.js';
import type { Segment } from './segment.js';

const NO_SEGMENT = 'failed to find log segment for timestamp';
const BEFORE_LOG = 'timestamp is before the beginning of the log';

interface SegmentChoice {
  /** Index of the first segment that begins after the time, the number of segments when none does. */
  readonly index: number;
  /** The lookup met an empty segment, on which the server's lookup fails. */
  readonly poisoned: boolean;
}

/** The error of a lookup in a paused log. */
export function closedLookup(): LogError {
  return new LogError(`${NO_SEGMENT}: segment has been closed`);
}

/**
 * The lowest offset at or after a time, `next` when there is none. `oddity` reproduces two faults of the server: a
 * search that meets an empty segment returns `next`, and so does one for a time between the last message of the
 * second-last segment and the first message of the last segment.
 */
export function startOffsetAt(segments: readonly Segment[], time: bigint, next: number, oddity: boolean): number {
  const searched = searchable(segments, oddity);
  const { index, poisoned } = choose(searched, time);
  if (poisoned) return next;
  // The segment before the chosen one may hold the time; when it is entirely earlier, the chosen one begins later.
  const begin = Math.max(index - 1, 0);
  const end = oddity && index === searched.length - 1 ? begin + 1 : index + 1;
  for (const segment of searched.slice(begin, end)) {
    const entry = segment.indexAtTime(time);
    if (entry < segment.count) return segment.offsetAt(entry);
  }
  return next;
}

/**
 * The highest offset at or before a time; of several messages with exactly that time the first. Throws LogError when
 * the log begins later or is empty, and with `oddity` also when the search meets an empty segment.
 */
export function stopOffsetAt(segments: readonly Segment[], time: bigint, oddity: boolean): number {
  const searched = searchable(segments, oddity);
  const { index, poisoned } = choose(searched, time);
  const segment = searched[Math.max(index - 1, 0)];
  if (poisoned || segment === undefined) throw new LogError(`${NO_SEGMENT}: EOF`);
  if (index === 0 && time < segment.firstTime) throw new LogError(BEFORE_LOG);
  const entry = segment.indexAtTime(time);
  if (entry === segment.count) return segment.lastOffset;
  return segment.timestampAt(entry) === time ? segment.offsetAt(entry) : segment.offsetAt(entry) - 1;
}

function searchable(segments: readonly Segment[], oddity: boolean): readonly Segment[] {
  return oddity ? segments : segments.filter((segment) => segment.count > 0);
}

function choose(segments: readonly Segment[], time: bigint): SegmentChoice {
  let low = 0;
  let high = segments.length;
  let poisoned = false;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const segment = segments[middle]!;
    if (segment.count === 0) poisoned = true;
    if (segment.count === 0 || segment.firstTime > time) high = middle;
    else low = middle + 1;
  }
  return { index: low, poisoned };
}
