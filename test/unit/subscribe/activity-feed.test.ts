import { describe, expect, it } from 'vitest';
import { NoSuchPartitionError, NoSuchStreamError, TimeoutError } from '../../../src/errors.js';
import { ActivityStreamEvent, ActivityStreamOp } from '../../../src/protocol/generated/api.js';
import { openActivity } from '../../../src/subscribe/activity-feed.js';

const event = ActivityStreamEvent.encode(
  ActivityStreamEvent.fromPartial({ id: 3n, op: ActivityStreamOp.DELETE_STREAM, deleteStreamOp: { stream: 'orders' } }),
).finish();

async function* messages(...values: Uint8Array[]) {
  for (const value of values) yield { value, offset: 7n, time: new Date(5) };
}

describe('openActivity', () => {
  it('subscribes to the activity stream and decodes its events', async () => {
    const asked: unknown[] = [];
    const options = { startAt: 'earliest' } as const;
    const events = await openActivity(async (...args) => {
      asked.push(args);
      return messages(event) as never;
    }, options);
    const all = [];
    for await (const one of events) all.push(one);
    expect(asked).toEqual([['__activity', options]]);
    expect(all).toEqual([{ id: 3n, offset: 7n, time: new Date(5), op: 'delete-stream', stream: 'orders' }]);
  });

  it.each([new NoSuchStreamError('none'), new NoSuchPartitionError('none')])(
    'says how to switch the activity stream on when the server keeps none: %s',
    async (cause) => {
      const opening = openActivity(() => Promise.reject(cause), {});
      await expect(opening).rejects.toMatchObject({
        code: 'NO_SUCH_STREAM',
        message: expect.stringContaining('activity.stream.enabled'),
        stream: '__activity',
        operation: 'activity',
        cause,
      });
    },
  );

  it('rejects with every other failure as it is', async () => {
    const late = new TimeoutError('late');
    await expect(openActivity(() => Promise.reject(late), {})).rejects.toBe(late);
  });

  it('throws in the loop at a message that is no event', async () => {
    const events = await openActivity(async () => messages(new Uint8Array([0xff, 0xff])) as never, {});
    const read = async () => {
      for await (const one of events) expect(one).toBeUndefined();
    };
    await expect(read()).rejects.toMatchObject({ operation: 'activity', stream: '__activity' });
  });
});
