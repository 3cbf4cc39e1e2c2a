import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InFlight, numberText } from '../../../src/publish/in-flight.js';
import type { PendingPublish } from '../../../src/publish/partition-queue.js';

const PREFIX = 'a_b-cd';

function generated(number: number): PendingPublish {
  return { number, chosenId: false, correlationId: PREFIX + numberText(number) } as PendingPublish;
}

function chosen(number: number, correlationId: string): PendingPublish {
  return { number, chosenId: true, correlationId } as PendingPublish;
}

function find(inFlight: InFlight<PendingPublish>, id: string): PendingPublish | null {
  const bytes = Buffer.from(`..${id}..`);
  const found = inFlight.find(bytes, 2, bytes.length - 4);
  if (inFlight.match(bytes, 2, bytes.length - 4) !== found?.correlationId) expect.unreachable();
  return found;
}

describe('InFlight', () => {
  it('finds a publish in flight by its id, and no other', () => {
    const inFlight = new InFlight<PendingPublish>(PREFIX);
    const [one, other] = [generated(71), chosen(72, 'mine')];
    inFlight.add(one);
    inFlight.add(other);
    expect(find(inFlight, one.correlationId)).toBe(one);
    expect(find(inFlight, 'mine')).toBe(other);
    for (const id of [PREFIX, `${PREFIX}20`, `${PREFIX}!`, `${PREFIX}1Z`, 'mine2', '', `x${one.correlationId}`])
      expect(find(inFlight, id)).toBeNull();
    inFlight.delete(one);
    expect(find(inFlight, one.correlationId)).toBeNull();
  });

  it('finds a chosen id that begins like a generated one', () => {
    const inFlight = new InFlight<PendingPublish>(PREFIX);
    const mine = chosen(3, `${PREFIX}zz`);
    inFlight.add(mine);
    expect(find(inFlight, mine.correlationId)).toBe(mine);
  });

  it('finds none for a number whose slot holds another publish', () => {
    const inFlight = new InFlight<PendingPublish>(PREFIX);
    const [early, late] = [generated(1), generated(257)];
    inFlight.add(early);
    expect(find(inFlight, late.correlationId)).toBeNull();
    inFlight.add(late);
    expect([find(inFlight, early.correlationId), find(inFlight, late.correlationId)]).toEqual([early, late]);
    expect(find(inFlight, generated(513).correlationId)).toBeNull();
    inFlight.delete(late);
    expect(find(inFlight, late.correlationId)).toBeNull();
    expect(find(inFlight, early.correlationId)).toBe(early);
  });

  it('counts each publish once, and ignores the deletion of one that is not in flight', () => {
    const inFlight = new InFlight<PendingPublish>(PREFIX);
    const one = generated(1);
    inFlight.add(one);
    inFlight.add(generated(2));
    inFlight.delete(generated(3));
    expect(inFlight.size).toBe(2);
    inFlight.delete(one);
    inFlight.delete(one);
    expect(inFlight.size).toBe(1);
  });

  it('counts chosen and generated ids, and deletes a chosen one', () => {
    const inFlight = new InFlight<PendingPublish>(PREFIX);
    const mine = chosen(1, 'mine');
    inFlight.add(mine);
    inFlight.add(generated(2));
    expect(inFlight.size).toBe(2);
    inFlight.delete(mine);
    expect(inFlight.size).toBe(1);
    expect(find(inFlight, 'mine')).toBeNull();
  });

  it('equals a map for any sequence of changes, while the ring grows', () => {
    // Three are added for each that is removed: some hundred are in flight in the end, and the ring grows twice.
    const step = fc.record({
      add: fc.nat(3).map((n) => n > 0),
      gap: fc.integer({ min: 1, max: 900 }),
      which: fc.nat(),
    });
    const steps = fc.array(step, { minLength: 1_500, maxLength: 2_000, size: 'max' });
    fc.assert(
      fc.property(steps, (list) => {
        const inFlight = new InFlight<PendingPublish>(PREFIX);
        const model = new Map<number, PendingPublish>();
        let number = 0;
        for (const { add, gap, which } of list) {
          number += gap;
          const entry = add ? generated(number) : [...model.values()][which % Math.max(1, model.size)];
          if (entry === undefined) continue;
          if (add) inFlight.add(entry);
          else inFlight.delete(entry);
          if (add) model.set(number, entry);
          else model.delete(entry.number);
          if (find(inFlight, entry.correlationId) !== (model.get(entry.number) ?? null)) expect.unreachable();
        }
        expect(model.size).toBeGreaterThan(512);
        expect(inFlight.size).toBe(model.size);
        expect(inFlight.clear()).toEqual([...model.values()]);
        for (const { correlationId } of model.values()) expect(find(inFlight, correlationId)).toBeNull();
      }),
      { numRuns: 10 },
    );
  });

  it('finds all of more publishes than the largest ring holds', () => {
    const inFlight = new InFlight<PendingPublish>(PREFIX);
    const all = Array.from({ length: 70_000 }, (_, number) => generated(number));
    for (const pending of all) inFlight.add(pending);
    expect(all.filter((pending) => find(inFlight, pending.correlationId) !== pending)).toEqual([]);
    expect(inFlight.take(({ number }) => number % 2 === 0)).toHaveLength(35_000);
    expect(inFlight.size).toBe(35_000);
    expect(inFlight.clear().map(({ number }) => number)).toEqual(
      all.map(({ number }) => number).filter((number) => number % 2 === 1),
    );
  });
});
