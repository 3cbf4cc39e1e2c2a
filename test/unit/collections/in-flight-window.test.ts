import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InFlightWindow } from '../../../src/collections/in-flight-window.js';

describe('InFlightWindow', () => {
  it('fits messages up to both limits', () => {
    const window = new InFlightWindow({ messages: 2, bytes: 10 });
    window.add(4);
    expect([window.messages, window.hasRoom, window.fits(6), window.fits(7)]).toEqual([1, true, true, false]);
    window.add(5);
    expect([window.messages, window.hasRoom, window.fits(0)]).toEqual([2, false, false]);
    window.remove(4);
    expect([window.messages, window.hasRoom, window.fits(5), window.fits(6)]).toEqual([1, true, true, false]);
  });

  it('has no room once the limit of bytes is reached', () => {
    const window = new InFlightWindow({ messages: 9, bytes: 10 });
    window.add(10);
    expect([window.hasRoom, window.fits(1)]).toEqual([false, false]);
  });

  it('fits a message above the limit of bytes only alone', () => {
    const window = new InFlightWindow({ messages: 9, bytes: 10 });
    expect(window.fits(500)).toBe(true);
    window.add(1);
    expect(window.fits(500)).toBe(false);
  });

  it('never exceeds its limits with more than one message, and returns to nothing', () => {
    const sizes = fc.array(fc.nat({ max: 60 }), { size: 'max', maxLength: 200 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 100 }), (all, messages, bytes) => {
        const window = new InFlightWindow({ messages, bytes });
        const inFlight: number[] = [];
        for (const size of all) {
          while (!window.fits(size)) window.remove(inFlight.shift()!);
          window.add(size);
          inFlight.push(size);
          expect(window.messages).toBe(inFlight.length);
          expect(inFlight.length).toBeLessThanOrEqual(messages);
          if (inFlight.length > 1) expect(inFlight.reduce((a, b) => a + b)).toBeLessThanOrEqual(bytes);
        }
        for (const size of inFlight) window.remove(size);
        expect([window.messages, window.hasRoom]).toEqual([0, true]);
      }),
      { numRuns: 60 },
    );
  });
});
