import { describe, it } from 'vitest';
import { MessageRunner, type RunnerContext } from '../../../../src/consumer/delivery/message-runner.js';
import { ReadyQueue } from '../../../../src/consumer/delivery/ready-queue.js';
import type { HeldPartition } from '../../../../src/consumer/partitions/held-partition.js';
import { RUN_DEFAULTS } from '../../../../src/consumer/run-options.js';
import { ReceivedMessage } from '../../../../src/protocol/received-message.js';
import { deferred } from '../../../support/deferred.js';

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
