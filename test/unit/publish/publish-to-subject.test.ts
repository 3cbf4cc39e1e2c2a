import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ServerError } from '../../../src/errors.js';
import { publishToSubject } from '../../../src/publish/publish-to-subject.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

beforeEach(() => {
  vi.useFakeTimers();
  vi.advanceTimersByTime(10_000);
});
afterEach(() => {
  vi.useRealTimers();
});

const withoutNats = new ServerError('refused', {
  status: 'UNKNOWN',
  text: 'failed to publish to NATS: nats: outbound buffer limit exceeded',
});

/** Publishes by way of brokers that refuse so often for want of NATS, and notes the time that each call has. */
function publishing(
  refusals: number,
  options: { timeout?: number; signal?: AbortSignal } = {},
  error: Error = withoutNats,
) {
  const times: number[] = [];
  const callAny = async (_method: string, _request: object, { timeout }: { timeout: number }) => {
    times.push(timeout);
    if (times.length <= refusals) throw error;
    return { ack: undefined };
  };
  const limits = { ackTimeout: 5_000, maxMessageBytes: 100 };
  const done = publishToSubject({ callAny } as never, 'subject', 'x', options, limits).then(
    (ack) => ack,
    (reason: unknown) => reason,
  );
  return { times, done };
}

describe('a publish to a subject', () => {
  it('is one call, with the whole timeout', async () => {
    const { times, done } = publishing(0);
    expect(await done).toBeNull();
    expect(times).toEqual([5_000]);
  });

  it('is repeated four times a second while no broker has NATS, with the time that is left', async () => {
    const { times, done } = publishing(3, { timeout: 1_001 });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await done).toBeNull();
    expect(times).toEqual([1_001, 751, 501, 251]);
  });

  it('rejects with that once there is no time for another one', async () => {
    const { times, done } = publishing(9, { timeout: 1_000 });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await done).toBe(withoutNats);
    expect(times).toEqual([1_000, 750, 500, 250]);
  });

  it('is not repeated after any other refusal', async () => {
    const denied = new ServerError('refused', { status: 'UNKNOWN', text: 'no' });
    const { times, done } = publishing(9, {}, denied);
    expect(await done).toBe(denied);
    expect(times).toHaveLength(1);
  });

  it('ends with its signal between two calls', async () => {
    const stop = new AbortController();
    const { times, done } = publishing(9, { signal: stop.signal });
    await vi.advanceTimersByTimeAsync(100);
    stop.abort('enough');
    expect(await done).toBe('enough');
    expect(times).toHaveLength(1);
  });
});
