import type { LogConfig } from './log-config.js';
import type { Segment } from './segment.js';

/** Number of leading segments that retention removes at this time (nanoseconds). The last segment always stays. */
export function expiredSegments(segments: readonly Segment[], config: LogConfig, now: bigint): number {
  let first = 0;
  if (config.retentionMaxAge > 0) first = expiredByAge(segments, now - nanoseconds(config.retentionMaxAge));
  if (config.retentionMaxMessages > 0) {
    first = firstWithin(segments, first, config.retentionMaxMessages, (segment) => segment.count);
  }
  if (config.retentionMaxBytes > 0) {
    first = firstWithin(segments, first, config.retentionMaxBytes, (segment) => segment.size);
  }
  return first;
}

/** Nanoseconds of a duration in milliseconds. */
export function nanoseconds(ms: number): bigint {
  return BigInt(Math.round(ms)) * 1_000_000n;
}

function expiredByAge(segments: readonly Segment[], limit: bigint): number {
  let first = 0;
  while (first < segments.length - 1 && segments[first]!.lastTime < limit) first++;
  return first;
}

/** The first retained segment when the sum from the newest one back must stay within the limit. */
function firstWithin(
  segments: readonly Segment[],
  oldest: number,
  limit: number,
  weight: (segment: Segment) => number,
): number {
  let kept = segments.length - 1;
  let sum = weight(segments[kept]!);
  while (kept > oldest) {
    sum += weight(segments[kept - 1]!);
    if (sum > limit) break;
    kept--;
  }
  return kept;
}
