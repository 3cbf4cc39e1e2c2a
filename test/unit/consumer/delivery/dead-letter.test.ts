import { describe, expect, it, vi } from 'vitest';
import { publishDeadLetter } from '../../../../src/consumer/delivery/dead-letter.js';
import { AckTimeoutError, ClosedError } from '../../../../src/errors.js';
import { partitionByKey } from '../../../../src/publish/partitioners.js';

// Attempts are counted here: the pauses between them take no time.
vi.mock('../../../../src/async/sleep.js', async (original) => ({
  ...(await original<typeof import('../../../../src/async/sleep.js')>()),
  pause: () => new Promise((resolve) => setImmediate(resolve)),
}));

const MESSAGE = {
  stream: 'jobs',
  partition: 3,
  offset: 9n,
  timestamp: 5n,
  key: null,
  value: Buffer.from('v'),
  headers: {},
};
const FAILURE = { groupId: 'g', error: new Error('bad'), attempts: 4 };

/** How often it was published, and how that ended: each attempt fails with the next error, the one after the last is stored. */
async function publishing(errors: readonly unknown[], signal = new AbortController().signal) {
  const publish = vi.fn(async () => {
    const error = errors[publish.mock.calls.length - 1];
    if (error !== undefined) throw error;
    return null;
  });
  const outcome = await publishDeadLetter({ publish } as never, 'dead', MESSAGE as never, FAILURE, signal).then(
    () => 'stored',
    (error: unknown) => error,
  );
  return { attempts: publish.mock.calls.length, outcome, calls: publish.mock.calls as unknown[][] };
}

describe('a dead letter', () => {
  const late = new AckTimeoutError('late', { retryable: true });

  it('has the value and the place of its message, and asks for the acks of all replicas', async () => {
    const { calls } = await publishing([]);
    const headers = expect.objectContaining({ 'dead-letter-stream': 'jobs', 'dead-letter-error': 'Error: bad' });
    const options = { key: null, headers, ackPolicy: 'all', partitioner: partitionByKey };
    expect(calls).toEqual([['dead', MESSAGE.value, options]]);
  });

  it('is published again after an error that may pass, up to five times', async () => {
    expect(await publishing([late, late, late, late])).toMatchObject({ attempts: 5, outcome: 'stored' });
    expect(await publishing([late, late, late, late, late])).toMatchObject({ attempts: 5, outcome: late });
  });

  it('is not published again after an error that stays, one of another kind, or an abort', async () => {
    const closed = new ClosedError('closed');
    const foreign = Object.assign(new Error('odd'), { retryable: true });
    expect(await publishing([closed])).toMatchObject({ attempts: 1, outcome: closed });
    expect(await publishing([foreign])).toMatchObject({ attempts: 1, outcome: foreign });
    expect(await publishing([late], AbortSignal.abort())).toMatchObject({ attempts: 1, outcome: late });
  });
});
