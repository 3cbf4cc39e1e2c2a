import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fifo } from '../../../src/collections/fifo.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function filled(count: number): Fifo<number> {
  const fifo = new Fifo<number>();
  for (let n = 0; n < count; n++) fifo.push(n);
  return fifo;
}

describe('Fifo', () => {
  it('returns entries in the order in which they were added', () => {
    const fifo = filled(3);
    expect([fifo.size, fifo.empty, fifo.first]).toEqual([3, false, 0]);
    expect([fifo.shift(), fifo.shift(), fifo.shift()]).toEqual([0, 1, 2]);
    expect([fifo.size, fifo.empty, fifo.first, fifo.shift(), fifo.size]).toEqual([0, true, undefined, undefined, 0]);
  });

  it('adds entries before all others, in their order', () => {
    const fifo = filled(3);
    fifo.shift();
    fifo.unshift([7, 8]);
    expect(fifo.toArray()).toEqual([7, 8, 1, 2]);
    expect(fifo.size).toBe(4);
  });

  it('keeps what passes a test', () => {
    const fifo = filled(6);
    fifo.shift();
    fifo.retain((n) => n % 2 === 1);
    expect(fifo.toArray()).toEqual([1, 3, 5]);
  });

  it('is empty after clear, which returns what was left', () => {
    const fifo = filled(3);
    fifo.shift();
    expect(fifo.clear()).toEqual([1, 2]);
    expect([fifo.empty, fifo.first]).toEqual([true, undefined]);
  });

  it('does not hold entries that were taken while it is not empty', async () => {
    const fifo = new Fifo<object>();
    const taken = (() => {
      const item = {};
      fifo.push(item);
      fifo.push({});
      return new WeakRef(item);
    })();
    fifo.shift();
    await expect
      .poll(() => {
        collectGarbage();
        return taken.deref() === undefined;
      })
      .toBe(true);
    expect(fifo.size).toBe(1);
  });

  it('behaves as an array under any sequence of operations, past the length at which it compacts', () => {
    const operation = fc.oneof(
      { weight: 4, arbitrary: fc.record({ push: fc.integer({ min: 1, max: 1_500 }) }) },
      { weight: 4, arbitrary: fc.record({ shift: fc.integer({ min: 1, max: 1_500 }) }) },
      { weight: 1, arbitrary: fc.record({ unshift: fc.array(fc.integer()) }) },
      { weight: 1, arbitrary: fc.record({ retain: fc.integer({ min: 2, max: 5 }) }) },
      { weight: 1, arbitrary: fc.constant({ clear: true }) },
    );
    fc.assert(
      fc.property(fc.array(operation, { size: 'max', maxLength: 20 }), (operations) => {
        const fifo = new Fifo<number>();
        let model: number[] = [];
        let next = 0;
        for (const step of operations) {
          if ('push' in step) {
            for (let n = 0; n < step.push; n++) {
              fifo.push(next);
              model.push(next++);
            }
          } else if ('shift' in step) {
            const taken = Array.from({ length: step.shift }, () => fifo.shift());
            const expected = model.splice(0, step.shift);
            expect(taken.filter((item) => item !== undefined)).toEqual(expected);
          } else if ('unshift' in step) {
            fifo.unshift(step.unshift);
            model = [...step.unshift, ...model];
          } else if ('retain' in step) {
            fifo.retain((n) => n % step.retain !== 0);
            model = model.filter((n) => n % step.retain !== 0);
          } else {
            expect(fifo.clear()).toEqual(model);
            model = [];
          }
          expect([fifo.size, fifo.empty, fifo.first]).toEqual([model.length, model.length === 0, model[0]]);
        }
        expect(fifo.toArray()).toEqual(model);
      }),
      { numRuns: 60 },
    );
  });
});
