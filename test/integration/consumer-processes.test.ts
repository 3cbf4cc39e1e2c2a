import type { ChildProcess } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { ROOT, startProcess } from '../support/child-process.js';
import { eventually } from '../support/eventually.js';
import { Bench } from './consumer-harness.js';

/** A member in its own process and the messages that it has processed. */
class Worker {
  readonly processed = new Set<string>();
  readonly #process: ChildProcess;
  #ready = false;
  #errors = '';
  #ended = false;

  constructor(bench: Bench, consumerId: string) {
    const args = [
      '--import',
      'tsx',
      'test/integration/consumer-worker.ts',
      bench.broker.addresses.join(','),
      consumerId,
    ];
    this.#process = startProcess(process.execPath, [...args, ...bench.streams], { cwd: ROOT });
    let rest = '';
    this.#process.stdout!.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === 'ready') this.#ready = true;
        else this.processed.add(line);
      }
    });
    this.#process.once('exit', () => {
      this.#ended = true;
    });
    this.#process.stderr!.on('data', (chunk: Buffer) => {
      this.#errors += chunk;
    });
  }

  async ready(): Promise<void> {
    await eventually('the worker begins', () => {
      if (this.#ended) throw new Error(`the worker has ended: ${this.#errors}`);
      return this.#ready && this.processed.size > 0;
    });
  }

  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.kill(name);
  }
}

function missing(bench: Bench, workers: readonly Worker[]): string[] {
  const seen = (text: string) => bench.processed.has(text) || workers.some((worker) => worker.processed.has(text));
  return bench.published.filter((text) => !seen(text));
}

describe('Consumer in several processes, in real time', () => {
  it('loses nothing when one member is killed and another is stopped for longer than the timeout', async () => {
    await using bench = await Bench.start(
      { groups: { consumerTimeout: 1_200, coordinatorTimeout: 1_200 } },
      { clicks: 4, orders: 2 },
    );
    bench.load(4);
    const killed = new Worker(bench, 'b');
    const stopped = new Worker(bench, 'c');
    const workers = [killed, stopped];
    await Promise.all(workers.map((worker) => worker.ready()));
    const here = await bench.member('a');
    await eventually('the member here has its share', () => here.processed.length > 20);
    stopped.signal('SIGSTOP');
    killed.signal('SIGKILL');
    await bench.balanced([here]);
    const before = stopped.processed.size;
    stopped.signal('SIGCONT');
    await eventually(
      'the stopped member has joined again',
      () => stopped.processed.size > before + 20 && here.partitions.length === 3,
    );
    await eventually('much is published', () => bench.published.length > 200);
    await bench.finish();
    await eventually('every message is processed', () => missing(bench, workers).length === 0);
    expect(here.error).toBeNull();
  });
});
