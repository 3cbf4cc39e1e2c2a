import { describe, expect, it } from 'vitest';
import { runNode } from '../support/child-process.js';

describe('the reference', () => {
  it('documents every export', async () => {
    const args = ['node_modules/typedoc/bin/typedoc', '--emit', 'none', '--pretty', 'false'];
    const ended = await runNode(args, '', { ...process.env, NO_COLOR: '1' });
    expect(ended).toEqual({ code: 0, out: '', error: '' });
  });
});
