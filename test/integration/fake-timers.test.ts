import { describe, expect, it } from 'vitest';
import { runToEnd } from '../support/child-process.js';

describe('a client and a broker, while the timers of their process are stopped,', () => {
  it.each(['before', 'after'])('work, with timers faked %s connect', async (when) => {
    const args = ['--import', 'tsx', 'test/integration/fake-timers-worker.ts', when];
    const { code, out, error } = await runToEnd(process.execPath, args);
    expect(error).toBe('');
    expect(out.trim().split('\n')).toEqual(['read one', 'read two', 'cursor 1', 'consumed one']);
    expect(code).toBe(0);
  });
});
