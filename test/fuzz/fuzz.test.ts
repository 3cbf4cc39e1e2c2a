import { describe, expect, it } from 'vitest';
import { Random } from './random.js';
import { TARGETS } from './targets.js';

/** The number of seeds for each target; `npm run fuzz` uses as many as its time allows. */
const STEPS: Readonly<Record<string, number>> = {
  envelopes: 10,
  frames: 3,
  codecs: 10,
  acks: 10,
  arguments: 5,
  broker: 3,
};

describe('a short run of the fuzz suite', () => {
  // The short run of `servers` is hostile-servers.test.ts.
  it.each(TARGETS.filter(({ name }) => name in STEPS))('$name', async (target) => {
    const stray: unknown[] = [];
    const note = (error: unknown): void => void stray.push(error);
    process.on('uncaughtExceptionMonitor', note);
    process.on('unhandledRejection', note);
    const open = await target.open();
    let detail: string | undefined;
    try {
      for (let seed = 1; seed <= STEPS[target.name]!; seed++) await open.step(seed);
      detail = open.detail?.();
    } finally {
      await open.close();
      process.off('uncaughtExceptionMonitor', note);
      process.off('unhandledRejection', note);
    }
    expect(stray).toEqual([]);
    if (target.name === 'broker') expect(detail).toBe('30 of them NATS and 30 gRPC');
  });

  it('produces the same inputs for the same seed', () => {
    expect(new Random(7).bytes(100)).toEqual(new Random(7).bytes(100));
    expect(new Random(7).bytes(100)).not.toEqual(new Random(8).bytes(100));
  });
});
