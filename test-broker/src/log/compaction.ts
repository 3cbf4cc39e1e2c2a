import { frameEntrySize } from './entry-size.js';
import { frameKey } from './frame.js';
import { Segment } from './segment.js';

/**
 * The segments without the messages whose key has a later message at or below the high watermark. Offsets stay
 * unchanged. The last segment is not compacted, an unchanged one is kept, and an empty one is left out.
 */
export function compact(segments: readonly Segment[], highWatermark: number): Segment[] {
  if (segments.length < 2) return [...segments];
  const latest = latestOffsets(segments, highWatermark);
  const active = segments[segments.length - 1]!;
  const compacted: Segment[] = [];
  for (const segment of segments.slice(0, -1)) {
    const survivor = compactSegment(segment, latest, highWatermark);
    if (survivor.count > 0) compacted.push(survivor);
  }
  return [...compacted, active];
}

/** A key as a string for a map: each byte is one character. */
function keyText(key: Buffer): string {
  return key.toString('latin1');
}

function latestOffsets(segments: readonly Segment[], highWatermark: number): Map<string, number> {
  const latest = new Map<string, number>();
  for (const segment of segments) {
    const end = segment.indexOf(highWatermark + 1);
    for (let index = 0; index < end; index++) {
      const key = frameKey(segment.frameAt(index));
      if (key !== null && key.length > 0) latest.set(keyText(key), segment.offsetAt(index));
    }
  }
  return latest;
}

function compactSegment(segment: Segment, latest: Map<string, number>, highWatermark: number): Segment {
  const survivors: number[] = [];
  for (let index = 0; index < segment.count; index++) {
    const offset = segment.offsetAt(index);
    const key = frameKey(segment.frameAt(index));
    const kept = key === null || key.length === 0 || offset >= highWatermark || latest.get(keyText(key)) === offset;
    if (kept) survivors.push(index);
  }
  return survivors.length === segment.count ? segment : withEntries(segment, survivors);
}

function withEntries(segment: Segment, indexes: readonly number[]): Segment {
  const copy = new Segment(segment.baseOffset);
  for (const index of indexes) {
    const frame = segment.frameAt(index);
    copy.append(frame, segment.offsetAt(index), segment.timestampAt(index), frameEntrySize(frame));
  }
  copy.seal();
  return copy;
}
