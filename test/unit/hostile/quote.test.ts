import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { excerpt, messageOf, quoted } from '../../../src/errors/quote.js';
import { errorFromAsyncError, errorFromStatus, LiftbridgeError } from '../../../src/errors.js';
import { fuzz } from '../../support/fuzz.js';
import { holds } from '../../support/holds.js';
import { HOSTILE } from '../../support/hostile.js';

/** What could begin a line of its own in a log, or hide one. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Surrogate}\u202a-\u202e\u2066-\u2069]/u;
const anyText = fc.string({ unit: 'binary', maxLength: 400 });

describe('excerpt and quoted', () => {
  it('leave text as it is', () => {
    expect(excerpt('no such stream: "größe" 😀')).toBe('no such stream: "größe" 😀');
    expect(quoted('größe "x"')).toBe('"größe \\"x\\""');
  });

  it('escape control characters and shorten long texts', () => {
    expect(excerpt('a\r\nERROR b\u0007\u2028\u202e\ud800')).toBe(
      'a\\u{d}\\u{a}ERROR b\\u{7}\\u{2028}\\u{202e}\\u{d800}',
    );
    expect(excerpt('x'.repeat(1000))).toBe(`${'x'.repeat(197)}...`);
    expect(quoted('x'.repeat(1000), 10)).toBe('"xxxxxxx..."');
  });

  it('are safe for any text', () => {
    holds(
      fc.property(anyText, (text) => {
        for (const shown of [excerpt(text), quoted(text)]) expect(shown).not.toMatch(UNSAFE);
      }),
      fuzz(),
    );
  });
});

describe('messageOf', () => {
  it.each(Object.keys(HOSTILE))('%s: returns a text', (what) => {
    const text = messageOf(HOSTILE[what]!());
    expect(text).not.toMatch(UNSAFE);
    expect(text.length).toBeLessThan(2_500);
    expect(LiftbridgeError.from(HOSTILE[what]!(), { operation: 'test' }).message).toContain('test failed: ');
  });
});

describe('errors with texts of a server', () => {
  it('quote a part of it, with control characters escaped; `text` has all of it', () => {
    holds(
      fc.property(anyText, fc.integer({ min: 0, max: 17 }), (details, code) => {
        const text = details.repeat(20);
        const error = errorFromStatus('CreateStream', { code, details: text }, { stream: 'orders' });
        expect(error.message).not.toMatch(UNSAFE);
        expect(error.message.length).toBeLessThan(3_000);
        if ('text' in error) expect(error.text).toBe(text);
        const refused = errorFromAsyncError({ code: 0, message: text });
        expect(refused.message).not.toMatch(UNSAFE);
      }),
      fuzz(),
    );
  });
});
