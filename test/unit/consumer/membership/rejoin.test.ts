import { describe, expect, it, vi } from 'vitest';
import { joinAgain, type Rejoin } from '../../../../src/consumer/membership/rejoin.js';
import { ConnectionError, NoSuchStreamError, PermissionDeniedError } from '../../../../src/errors.js';

// Attempts are counted here: the pauses between them take no time.
vi.mock('../../../../src/async/sleep.js', async (original) => ({
  ...(await original<typeof import('../../../../src/async/sleep.js')>()),
  pause: () => new Promise((resolve) => setImmediate(resolve)),
}));

const away = new ConnectionError('away', { reason: 'refused', retryable: true });
const gone = new NoSuchStreamError('gone', { stream: 'orders' });

/** Joining again, whose joins fail with these errors before one succeeds. */
function rejoining(errors: readonly unknown[], streams: string[] = ['orders', 'clicks']) {
  const log: string[] = [];
  const stop = new AbortController();
  const left = [...errors];
  const membership = {
    join: async (wanted: readonly string[], { timeout }: { timeout: number }) => {
      log.push(`join ${wanted.join()} ${timeout}`);
      const error = left.shift();
      if (error !== undefined) throw error;
      return 'joined';
    },
    leave: async ({ timeout }: { timeout: number }) => void log.push(`leave ${timeout}`),
  };
  const watch = {
    streams,
    check: async () => {
      log.push('check');
      streams.pop();
    },
  };
  const release = async () => void log.push('release');
  const deps = {
    membership,
    watch,
    release,
    signal: stop.signal,
    joinTimeout: 5,
    leaveTimeout: 3,
  } as unknown as Rejoin;
  return { log, stop, join: (leaveFirst: boolean) => joinAgain(deps, leaveFirst) };
}

describe('joining a group again', () => {
  it('is one call when that succeeds', async () => {
    const { log, join } = rejoining([]);
    expect(await join(false)).toBe('joined');
    expect(log).toEqual(['join orders,clicks 5']);
  });

  it('leaves first, with everything released, each time', async () => {
    const { log, join } = rejoining([away]);
    expect(await join(true)).toBe('joined');
    const attempt = ['release', 'leave 3', 'join orders,clicks 5'];
    expect(log).toEqual([...attempt, ...attempt]);
  });

  it('is tried again after what may pass', async () => {
    const { log, join } = rejoining([away, away]);
    expect(await join(false)).toBe('joined');
    expect(log).toHaveLength(3);
  });

  it.each([
    ['stays', new PermissionDeniedError('no')],
    ['is no error of this package', Object.assign(new Error('odd'), { retryable: true })],
  ])('rejects with what %s', async (_what, error) => {
    const { log, join } = rejoining([error]);
    await expect(join(false)).rejects.toBe(error);
    expect(log).toHaveLength(1);
  });

  it('continues with the streams that are left when one is gone, and ends when none is', async () => {
    const { log, join } = rejoining([gone]);
    expect(await join(false)).toBe('joined');
    expect(log).toEqual(['join orders,clicks 5', 'check', 'join orders 5']);
    const last = rejoining([gone], ['orders']);
    await expect(last.join(false)).rejects.toBe(gone);
  });

  it('ends with its signal', async () => {
    const { log, join, stop } = rejoining([away, away]);
    const joined = join(false);
    stop.abort(new Error('closing'));
    await expect(joined).rejects.toThrow('closing');
    expect(log).toHaveLength(1);
  });
});
