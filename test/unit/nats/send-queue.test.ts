import { describe, expect, it } from 'vitest';
import { PendingPublish } from '../../../src/nats/pending-publish.js';
import { SendQueue } from '../../../src/nats/send-queue.js';

describe('SendQueue', () => {
  it('skips thousands of aborted publishes without blocking the event loop', async () => {
    const sent: PendingPublish[] = [];
    const queue = new SendQueue({ messages: 1, bytes: 1000 }, (publish) => sent.push(publish));
    const publish = (signal?: AbortSignal): PendingPublish => {
      const parts = { subject: 's', data: Buffer.alloc(1), wanted: 1, correlationId: '', timeout: 60_000, signal };
      const pending = new PendingPublish(parts, (settled) => queue.remove(settled));
      pending.deadline = Number.POSITIVE_INFINITY;
      queue.add(pending);
      return pending;
    };
    const first = publish();
    const aborted = AbortSignal.abort();
    for (let n = 0; n < 2_000; n++) publish(aborted);
    const last = publish();
    first.resolve();
    expect(sent).toEqual([first]);
    await expect.poll(() => sent).toEqual([first, last]);
    expect(queue.size).toBe(2_001);
  });
});
