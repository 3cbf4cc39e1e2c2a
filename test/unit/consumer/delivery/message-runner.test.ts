import { describe, expect, it, vi } from 'vitest';
import { MessageRunner, type RunnerContext } from '../../../../src/consumer/delivery/message-runner.js';
import { ReadyQueue } from '../../../../src/consumer/delivery/ready-queue.js';
import type { HeldPartition } from '../../../../src/consumer/partitions/held-partition.js';
import { type MessageHandler, type ResolvedRunOptions, RUN_DEFAULTS } from '../../../../src/consumer/run-options.js';
import { PermissionDeniedError } from '../../../../src/errors.js';
import { ReceivedMessage } from '../../../../src/protocol/received-message.js';
import { deferred } from '../../../support/deferred.js';

// Delays are compared: the pauses take no time.
vi.mock('../../../../src/async/sleep.js', async (original) => ({
  ...(await original<typeof import('../../../../src/async/sleep.js')>()),
  pause: () => new Promise((resolve) => setImmediate(resolve)),
}));
vi.mock('../../../../src/async/backoff.js', () => import('../../../support/steady-backoff.js'));

describe('a runner', () => {
  it('ends without a handler that never returns once the consumer has left its group', async () => {
    const stopped = deferred<void>();
    const readyQueue = new ReadyQueue({ isCurrent: true, renew: () => undefined });
    const context = { groupId: 'group', readyQueue, stopped: stopped.promise } as unknown as RunnerContext;
    const reached = deferred<void>();
    const never = (): Promise<never> => {
      reached.resolve();
      return new Promise(() => undefined);
    };
    const running = new MessageRunner(context, never, RUN_DEFAULTS).run();
    const messages = [new ReceivedMessage()];
    const held = { isReady: true, begin: () => messages.shift() ?? null, tooLate: new AbortController().signal };
    readyQueue.offer(held as unknown as HeldPartition);
    await reached.promise;
    readyQueue.end('clean');
    stopped.resolve();
    await running;
  });
});

/** A partition with this many messages, and what becomes of them. */
function partition(id: number, count: number) {
  const messages = Array.from({ length: count }, (_, offset) =>
    Object.assign(new ReceivedMessage(), { stream: 'orders', partition: id, offset: BigInt(offset) }),
  );
  const log: string[] = [];
  const released = new AbortController();
  const held = {
    log,
    released,
    get isReady() {
      return messages.length > 0;
    },
    begin: () => messages.shift() ?? null,
    finish: ({ offset }: ReceivedMessage) => void log.push(`finished ${offset}`),
    abandon: ({ offset }: ReceivedMessage) => void log.push(`abandoned ${offset}`),
    signal: released.signal,
    tooLate: new AbortController().signal,
  };
  return held as unknown as HeldPartition & typeof held;
}

function runner(handler: MessageHandler, options: Partial<ResolvedRunOptions> = {}, publish = vi.fn(async () => null)) {
  const stopped = deferred<void>();
  const readyQueue = new ReadyQueue({ isCurrent: true, renew: () => undefined });
  const emit = vi.fn();
  const failed = deferred<Error>();
  const context = {
    groupId: 'group',
    cluster: { emit },
    publisher: { publish },
    readyQueue,
    stopped: stopped.promise,
    fail: failed.resolve,
  } as unknown as RunnerContext;
  const running = new MessageRunner(context, handler, { ...RUN_DEFAULTS, ...options }).run();
  const end = async () => {
    readyQueue.end('clean');
    await running;
  };
  return { readyQueue, emit, failed: failed.promise, publish, running, end };
}

describe('a runner of a handler', () => {
  it('hands over one message after the other of a partition, each in its turn', async () => {
    const seen: string[] = [];
    const all = deferred<void>();
    const { readyQueue, end } = runner(async ({ partition: id, offset }, { attempt, signal }) => {
      seen.push(`${id}/${offset} ${attempt} ${signal.aborted}`);
      if (seen.length === 4) all.resolve();
    });
    const [one, two] = [partition(0, 2), partition(1, 2)];
    readyQueue.offer(one);
    readyQueue.offer(two);
    await all.promise;
    await end();
    expect(seen).toEqual(['0/0 1 false', '1/0 1 false', '0/1 1 false', '1/1 1 false']);
    expect([one.log, two.log]).toEqual([
      ['finished 0', 'finished 1'],
      ['finished 0', 'finished 1'],
    ]);
  });

  it('runs as many handlers at a time as it may, of different partitions', async () => {
    const gate = deferred<void>();
    const two = deferred<void>();
    let running = 0;
    let most = 0;
    const { readyQueue, end } = runner(
      async () => {
        most = Math.max(most, ++running);
        if (running === 2) two.resolve();
        await gate.promise;
        running--;
      },
      { concurrency: 2 },
    );
    const held = [partition(0, 2), partition(1, 2), partition(2, 2)];
    for (const one of held) readyQueue.offer(one);
    await two.promise;
    gate.resolve();
    await vi.waitUntil(() => held.every(({ log }) => log.length === 2));
    await end();
    expect(most).toBe(2);
  });

  it('waits for the handlers that run when the consumer ends', async () => {
    const reached = deferred<void>();
    const gate = deferred<void>();
    const { readyQueue, running } = runner(async () => {
      reached.resolve();
      await gate.promise;
    });
    const held = partition(0, 1);
    readyQueue.offer(held);
    await reached.promise;
    readyQueue.end('clean');
    const ended = vi.fn();
    void running.then(ended);
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).not.toHaveBeenCalled();
    gate.resolve();
    await running;
    expect(held.log).toEqual(['finished 0']);
  });
});

describe('a runner whose handler fails', () => {
  const bad = new Error('bad');

  it('tries again with backoff, and tells of each retry', async () => {
    const attempts: number[] = [];
    const { readyQueue, emit, end } = runner(
      async (_message, { attempt }) => {
        attempts.push(attempt);
        if (attempt < 4) throw bad;
      },
      { minDelay: 100, maxDelay: 250 },
    );
    const held = partition(0, 1);
    readyQueue.offer(held);
    await vi.waitUntil(() => held.log.length === 1);
    await end();
    expect([attempts, held.log]).toEqual([[1, 2, 3, 4], ['finished 0']]);
    expect(emit.mock.calls).toEqual([
      ['retry', { operation: 'handler', attempt: 1, delay: 100, error: bad }],
      ['retry', { operation: 'handler', attempt: 2, delay: 200, error: bad }],
      ['retry', { operation: 'handler', attempt: 3, delay: 250, error: bad }],
    ]);
  });

  it('ends the consumer when all retries have failed', async () => {
    const { readyQueue, failed, end } = runner(() => Promise.reject(bad), { retries: 1 });
    const held = partition(2, 1);
    readyQueue.offer(held);
    const error = await failed;
    expect(error).toMatchObject({
      code: 'HANDLER_FAILED',
      stream: 'orders',
      partition: 2,
      operation: 'consumer.run',
      cause: bad,
      message: expect.stringContaining('failed 2 times at the message of stream "orders", partition 2, offset 0: bad'),
    });
    expect(held.log).toEqual(['abandoned 0']);
    await end();
  });

  it('publishes the message as a dead letter, and goes on', async () => {
    const { readyQueue, publish, end } = runner(() => Promise.reject(bad), { retries: 0, deadLetter: 'dead' });
    const held = partition(0, 1);
    readyQueue.offer(held);
    await vi.waitUntil(() => held.log.length === 1);
    await end();
    expect(held.log).toEqual(['finished 0']);
    const headers = expect.objectContaining({ 'dead-letter-attempts': '1', 'dead-letter-group': 'group' });
    expect(publish.mock.calls).toEqual([['dead', null, expect.objectContaining({ headers })]]);
  });

  it('ends the consumer with both errors when the dead letter cannot be published', async () => {
    const denied = new PermissionDeniedError('no');
    const publish = vi.fn(() => Promise.reject(denied));
    const { readyQueue, failed, end } = runner(() => Promise.reject(bad), { retries: 0, deadLetter: 'dead' }, publish);
    const held = partition(0, 1);
    readyQueue.offer(held);
    const error = await failed;
    expect(error).toMatchObject({ code: 'HANDLER_FAILED', stream: 'orders', partition: 0, operation: 'consumer.run' });
    expect(error.message).toContain('dead-letter stream "dead" failed, too');
    expect((error.cause as AggregateError).errors).toEqual([bad, denied]);
    expect(held.log).toEqual(['abandoned 0']);
    await end();
  });

  it.each<[string, Partial<ResolvedRunOptions>]>([
    ['between two attempts', { retries: 3 }],
    ['while the dead letter is published', { retries: 0, deadLetter: 'dead' }],
  ])('leaves the message to others when the partition is released %s', async (_when, options) => {
    const held = partition(0, 1);
    const publish = vi.fn(() => Promise.reject(new PermissionDeniedError('no')));
    const handler = vi.fn(() => {
      held.released.abort();
      return Promise.reject(bad);
    });
    const { readyQueue, end } = runner(handler, options, publish);
    readyQueue.offer(held);
    await vi.waitUntil(() => held.log.length === 1);
    await end();
    expect([held.log, handler.mock.calls.length]).toEqual([['abandoned 0'], 1]);
  });
});
