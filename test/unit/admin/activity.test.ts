import { describe, expect, it } from 'vitest';
import { decodeActivity } from '../../../src/admin/activity.js';
import { ActivityStreamEvent } from '../../../src/protocol/generated/api.js';

const decode = (event: ActivityStreamEvent) => {
  const time = new Date(5);
  const value = ActivityStreamEvent.encode(event).finish();
  const { offset, ...decoded } = decodeActivity({ value, offset: 3n, time });
  expect(offset).toBe(3n);
  expect(decoded.time).toBe(time);
  const { time: _time, ...rest } = decoded;
  return rest;
};

const s = { stream: 's', partitions: [1, 0] };
const member = { groupId: 'g', consumerId: 'c' };

describe('decodeActivity', () => {
  it.each([
    [
      { id: 5n, op: 0, createStreamOp: s },
      { op: 'create-stream', ...s },
    ],
    [
      { id: 5n, op: 1, deleteStreamOp: { stream: 's' } },
      { op: 'delete-stream', stream: 's' },
    ],
    [
      { id: 5n, op: 2, pauseStreamOp: { ...s, resumeAll: true } },
      { op: 'pause-stream', ...s, resumeAll: true },
    ],
    [
      { id: 5n, op: 3, resumeStreamOp: s },
      { op: 'resume-stream', ...s },
    ],
    [
      { id: 5n, op: 4, setStreamReadonlyOp: { ...s, readonly: true } },
      { op: 'set-stream-readonly', ...s, readonly: true },
    ],
    [
      { id: 5n, op: 5, joinConsumerGroupOp: { ...member, streams: ['s'] } },
      { op: 'join-consumer-group', group: 'g', consumer: 'c', streams: ['s'] },
    ],
    [
      { id: 5n, op: 6, leaveConsumerGroupOp: { ...member, expired: true } },
      { op: 'leave-consumer-group', group: 'g', consumer: 'c', expired: true },
    ],
    [
      { id: 5n, op: 99 as never },
      { op: 'unknown', code: 99 },
    ],
  ] as const)('decodes %o', (event, expected) => {
    expect(decode(event as ActivityStreamEvent)).toEqual({ id: 5n, ...expected });
  });
});
