import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';
import { ROOT, startProcess } from '../support/child-process.js';

/** A process that has used a client once and has not closed it. */
async function started(broker: TestBroker, what: string): Promise<ChildProcess> {
  const args = ['--import', 'tsx', 'test/integration/process-worker.ts', broker.addresses[0]!, what];
  const child = startProcess(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = (await once(child.stdout!, 'data')) as [Buffer];
  expect(String(said)).toBe('done\n');
  return child;
}

async function withStream(use: (broker: TestBroker) => Promise<void>): Promise<void> {
  await using broker = await TestBroker.start();
  await using client = await connect([...broker.addresses]);
  await client.createStream('orders', 'orders');
  await use(broker);
}

describe('a process with an open client', () => {
  it.each(['nothing', 'metadata', 'publish', 'subscription', 'consumer'])(
    'keeps running after "%s", even when the broker stops',
    async (what) => {
      await withStream(async (broker) => {
        const child = await started(broker, what);
        await broker.stopBroker(0);
        child.kill('SIGUSR2');
        const said = once(child.stdout!, 'data').then(([text]) => String(text));
        const ended = once(child, 'exit').then(([code]) => `ended with code ${code}`);
        expect(await Promise.race([said, ended])).toBe('alive\n');
      });
    },
  );

  it('ends on its own when the client is closed', async () => {
    await withStream(async (broker) => {
      const child = await started(broker, 'close');
      if (child.exitCode === null) await once(child, 'exit');
      expect(child.exitCode).toBe(0);
    });
  });
});
