import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type LiftbridgeError, ServerError } from '../../../src/errors.js';
import { Ack_Error } from '../../../src/protocol/generated/api.js';
import type { PublishOptions } from '../../../src/publish/publish-options.js';
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

/** Publishes through brokers that refuse this many times because NATS is down, and records the timeout of each call. */
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

  it('rejects with that refusal once there is no time for another call', async () => {
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

/** Publishes 'x' to "subject" in a cluster that has these streams on it, by number of partitions. Returns the request. */
async function published(options: PublishOptions, streams: Record<string, number> = {}, ack?: object) {
  const requests: Record<string, unknown>[] = [];
  const cluster = {
    refresh: async () => undefined,
    streamsOnSubject: () => Object.keys(streams),
    partitionCount: (name: string) => streams[name]!,
    callAny: async (_method: string, request: Record<string, unknown>) => {
      requests.push(request);
      return { ack };
    },
  };
  const limits = { ackTimeout: 5_000, maxMessageBytes: 100 };
  const result = await publishToSubject(cluster as never, 'subject', 'x', options, limits).catch(
    (error: LiftbridgeError) => error.code ?? error,
  );
  return { result, requests, subject: requests[0]?.subject };
}

describe('the subject of a publish', () => {
  it('is the subject of the partition', async () => {
    expect((await published({})).subject).toBe('subject');
    expect((await published({ partition: 0 })).subject).toBe('subject');
    expect((await published({ partition: 3 })).subject).toBe('subject.3');
  });

  it('is chosen by a partitioner when the streams on it have equal numbers of partitions', async () => {
    const partitioner = ({ stream }: { stream: string }, count: number): number => (stream === 'one' ? count - 1 : 0);
    expect((await published({ partitioner }, { one: 4, two: 4 })).subject).toBe('subject.3');
    expect(await published({ partitioner }, { one: 4, two: 3 })).toMatchObject({
      result: 'AMBIGUOUS_SUBJECT',
      requests: [],
    });
    expect(await published({ partitioner }, {})).toMatchObject({ result: 'NO_SUCH_STREAM', requests: [] });
  });
});

describe('a publish to a subject with an expected offset', () => {
  it('is refused before anything is sent', async () => {
    expect(await published({ expectedOffset: 0 })).toMatchObject({ result: 'INVALID_ARGUMENT', requests: [] });
    expect(await published({ key: 'k'.repeat(100) })).toMatchObject({ result: 'MESSAGE_TOO_LARGE', requests: [] });
    expect(await published({ signal: AbortSignal.abort('enough') })).toMatchObject({ result: 'enough', requests: [] });
  });

  it('is sent when that is -1, which expects nothing', async () => {
    expect((await published({ expectedOffset: -1 })).requests).toHaveLength(1);
  });
});

describe('the ack of a publish to a subject', () => {
  it('is the result, or the error that it carries', async () => {
    const ack = { stream: 'one', offset: 4n, ackError: Ack_Error.OK };
    expect((await published({}, {}, ack)).result).toMatchObject({ stream: 'one', offset: 4n });
    expect((await published({}, {}, { ...ack, ackError: Ack_Error.TOO_LARGE })).result).toBe('MESSAGE_TOO_LARGE');
  });
});
