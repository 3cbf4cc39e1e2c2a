import { afterEach, describe, expect, it, vi } from 'vitest';
import { EventHub } from '../../../src/cluster/events.js';
import { LookupMiss } from '../../../src/cluster/leader-lookup.js';
import { type Advice, advise, isAmbiguous, withRetries } from '../../../src/cluster/retry.js';
import {
  ConnectionError,
  NoSuchPartitionError,
  NoSuchStreamError,
  type Operation,
  PartitionPausedError,
} from '../../../src/errors.js';
import { RpcFailure, Status, type StatusName } from '../../../src/transport/status.js';

const failure = (status: StatusName, details = '', sent = true): RpcFailure =>
  new RpcFailure(Status[status], details, { sent });

const CASES: readonly (readonly [Operation, string, unknown, Advice])[] = [
  ['FetchMetadata', 'unavailable', failure('UNAVAILABLE'), 'retry'],
  ['FetchMetadata', 'refused', new RpcFailure(14, '', { sent: false, connection: 'refused' }), 'retry'],
  ['FetchMetadata', 'wrong CA', new RpcFailure(14, '', { sent: false, connection: 'tls-untrusted' }), 'fail'],
  ['FetchMetadata', 'closed', new RpcFailure(14, '', { sent: false, connection: 'closed' }), 'fail'],
  ['FetchMetadata', 'out of time', failure('DEADLINE_EXCEEDED'), 'retry'],
  ['SetCursor', 'an unasked cancellation', failure('CANCELLED'), 'retry'],
  ['PublishToSubject', 'an unasked cancellation', failure('CANCELLED'), 'fail'],
  ['CreateStream', 'election', failure('INTERNAL', 'no known metadata leader'), 'retry'],
  ['CreateStream', 'election', failure('INTERNAL', 'nats: no responders available for request'), 'retry'],
  ['CreateStream', 'a broker without NATS', failure('INTERNAL', 'nats: outbound buffer limit exceeded'), 'retry'],
  ['FetchMetadata', 'a broker without NATS', failure('INTERNAL', 'nats: outbound buffer limit exceeded'), 'retry'],
  [
    'PublishToSubject',
    'a broker without NATS',
    failure('UNKNOWN', 'failed to publish to NATS: nats: outbound buffer limit exceeded'),
    'retry',
  ],
  ['JoinConsumerGroup', 'a deposed leader', failure('INTERNAL', 'Failed to join: node is not the leader'), 'retry'],
  ['CreateStream', 'internal', failure('INTERNAL', 'disk full'), 'fail'],
  ['CreateStream', 'exists', failure('ALREADY_EXISTS'), 'fail'],
  ['PublishToSubject', 'unavailable after it was sent', failure('UNAVAILABLE'), 'fail'],
  ['PublishToSubject', 'unavailable before it was sent', failure('UNAVAILABLE', '', false), 'retry'],
  ['PublishToSubject', 'out of time', failure('DEADLINE_EXCEEDED'), 'fail'],
  ['JoinConsumerGroup', 'unavailable after it was sent', failure('UNAVAILABLE'), 'fail'],
  ['JoinConsumerGroup', 'election', failure('INTERNAL', 'no known metadata leader'), 'retry'],
  ['JoinConsumerGroup', 'lost election', failure('INTERNAL', 'leadership lost while committing log'), 'fail'],
  ['SetCursor', 'not the leader', failure('FAILED_PRECONDITION', 'Server not leader'), 'refresh'],
  ['SetCursor', 'a stall', failure('INTERNAL', 'context deadline exceeded'), 'retry'],
  [
    'SetCursor',
    'cursors that the broker does not know',
    failure('INTERNAL', 'Cursors stream does not exist'),
    'refresh',
  ],
  ['FetchPartitionMetadata', 'a partition unknown to it', failure('NOT_FOUND', 'partition not found'), 'refresh'],
  ['SetCursor', 'no leader', new LookupMiss(new ConnectionError('', { reason: 'no-leader' })), 'refresh'],
  ['SetCursor', 'no stream', new LookupMiss(new NoSuchStreamError('')), 'fail'],
  ['FetchPartitionMetadata', 'paused', new LookupMiss(new PartitionPausedError('')), 'fail'],
  ['FetchMetadata', 'a defect', new TypeError('x is undefined'), 'fail'],
];

describe('advise', () => {
  it.each(CASES)('%s that failed of %s', (operation, _what, error, advice) => {
    expect(advise(operation, error, 1)).toBe(advice);
  });

  it('looks an unknown partition up a few times and no more', () => {
    const miss = new LookupMiss(new NoSuchPartitionError('unknown'));
    expect([1, 2, 3].map((attempt) => advise('SetCursor', miss, attempt))).toEqual(['refresh', 'refresh', 'fail']);
  });
});

describe('isAmbiguous', () => {
  it.each([
    [failure('UNAVAILABLE'), true],
    [failure('DEADLINE_EXCEEDED'), true],
    [failure('CANCELLED'), true],
    [failure('INTERNAL', 'raft operation timed out'), true],
    [failure('UNAVAILABLE', '', false), false],
    [failure('INTERNAL', 'no known metadata leader'), false],
    [failure('ALREADY_EXISTS'), false],
    [new Error('x'), false],
  ])('%s: %s', (error, expected) => {
    expect(isAmbiguous('CreateStream', error)).toBe(expected);
  });
});

describe('withRetries', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const run = (attempts: number, signal = new AbortController().signal) => {
    const hub = new EventHub();
    const events: { attempt: number; delay: number }[] = [];
    hub.on('retry', ({ attempt, delay }) => events.push({ attempt, delay }));
    const retry = { attempts, minDelay: 1, maxDelay: 3 };
    return { events, options: { operation: 'FetchMetadata', retry, signal, hub } as const };
  };

  it('tries until it succeeds and reports each retry with its delay', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const { events, options } = run(10);
    const result = await withRetries(options, async (number) => {
      if (number < 5) throw failure('UNAVAILABLE');
      return number;
    });
    expect(result).toBe(5);
    expect(events).toEqual([
      { attempt: 1, delay: 1 },
      { attempt: 2, delay: 2 },
      { attempt: 3, delay: 3 },
      { attempt: 4, delay: 3 },
    ]);
  });

  it('rejects with the last failure when attempts run out, and with the first that is final', async () => {
    const { events, options } = run(3);
    const failures = [failure('UNAVAILABLE', 'one'), failure('UNAVAILABLE', 'two'), failure('UNAVAILABLE', 'three')];
    await expect(withRetries(options, async (n) => Promise.reject(failures[n - 1]))).rejects.toThrow('three');
    expect(events).toHaveLength(2);
    await expect(withRetries(options, () => Promise.reject(failure('NOT_FOUND', 'gone')))).rejects.toThrow('gone');
    expect(events).toHaveLength(2);
  });

  it('never retries with one attempt', async () => {
    const { events, options } = run(1);
    await expect(withRetries(options, () => Promise.reject(failure('UNAVAILABLE', 'once')))).rejects.toThrow('once');
    expect(events).toEqual([]);
  });

  it('waits by the real timers when the global ones are fake', async () => {
    const { options } = run(10);
    vi.useFakeTimers();
    try {
      expect(await withRetries(options, async (n) => (n < 3 ? Promise.reject(failure('UNAVAILABLE')) : n))).toBe(3);
    } finally {
      vi.useRealTimers();
    }
  });

  it('does not count an attempt that waits for certainty by itself', async () => {
    const { options } = run(2);
    const counts = (error: unknown): boolean => (error as RpcFailure).codeName !== 'NOT_FOUND';
    const result = await withRetries({ ...options, operation: 'FetchPartitionMetadata', counts }, async (number) => {
      if (number < 20) throw failure('NOT_FOUND', 'partition not found');
      return number;
    });
    expect(result).toBe(20);
  });

  it('stops waiting for the next attempt when the signal aborts', async () => {
    const controller = new AbortController();
    const { options } = run(3, controller.signal);
    const slow = { ...options, retry: { attempts: 3, minDelay: 60_000, maxDelay: 60_000 } };
    const result = withRetries(slow, () => {
      setImmediate(() => controller.abort(new Error('enough')));
      return Promise.reject(failure('UNAVAILABLE'));
    });
    await expect(result).rejects.toThrow('enough');
  });
});
