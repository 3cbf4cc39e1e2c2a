import { frameOffset, frameTimestamp } from './frame.js';
import type { LeaderEpochs } from './leader-epochs.js';
import { Segment } from './segment.js';
import type { StoredSegment } from './segment-file.js';
import type { PartitionStorage } from './storage.js';

/** Builds the segments of a log from its files, and records the leader epochs that wrote them. */
export function recoverSegments(storage: PartitionStorage, epochs: LeaderEpochs): Segment[] {
  const segments: Segment[] = [];
  storage.load((baseOffset, stored) => {
    segments[segments.length - 1]?.seal();
    if (stored.epoch !== null) epochs.begin(stored.epoch, baseOffset);
    segments.push(recoverSegment(baseOffset, stored, epochs));
  });
  return segments;
}

function recoverSegment(baseOffset: number, stored: StoredSegment, epochs: LeaderEpochs): Segment {
  const segment = new Segment(baseOffset);
  for (const { frame, epoch, size } of stored.records) {
    const offset = frameOffset(frame);
    if (offset < segment.nextOffset) throw new Error(`expected offset ${segment.nextOffset} or more, got ${offset}`);
    epochs.begin(epoch, offset);
    segment.append(frame, offset, frameTimestamp(frame), size);
  }
  return segment;
}
