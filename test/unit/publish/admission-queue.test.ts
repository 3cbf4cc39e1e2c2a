import { describe, expect, it } from 'vitest';
import { AdmissionQueue, type Entry } from '../../../src/publish/admission-queue.js';

class Sized implements Entry {
  settled = false;
  constructor(
    readonly name: string,
    readonly bytes = 1,
  ) {}
}

function open(messages: number, bytes = Number.MAX_SAFE_INTEGER) {
  const admitted: Sized[] = [];
  const window = new AdmissionQueue<Sized>({ messages, bytes }, (entry) => admitted.push(entry));
  const names = () => admitted.map((entry) => entry.name).join('');
  return { window, admitted, names };
}

describe('AdmissionQueue', () => {
  it('admits at once the entries that fit, and the others in the order of their arrival', () => {
    const { window, admitted, names } = open(2);
    for (const name of 'abcde') window.enter(new Sized(name));
    expect(names()).toBe('ab');
    expect([window.inFlight, window.waiting, window.hasRoom]).toEqual([2, 3, false]);
    window.leave(admitted[1]!);
    window.leave(admitted[0]!);
    expect(names()).toBe('abcd');
  });

  it('keeps a small entry behind a large one that waits for room', () => {
    const { window, admitted, names } = open(10, 100);
    window.enter(new Sized('a', 60));
    window.enter(new Sized('B', 50));
    window.enter(new Sized('c', 1));
    expect(names()).toBe('a');
    window.leave(admitted[0]!);
    expect(names()).toBe('aBc');
  });

  it('admits an entry above the limit in bytes alone', () => {
    const { window, admitted, names } = open(10, 100);
    window.enter(new Sized('a', 1));
    window.enter(new Sized('B', 500));
    expect(names()).toBe('a');
    window.leave(admitted[0]!);
    expect(names()).toBe('aB');
    expect(window.hasRoom).toBe(false);
  });

  it('skips an entry that settled while it waited', () => {
    const { window, admitted, names } = open(1);
    const entries = [...'abc'].map((name) => new Sized(name));
    for (const entry of entries) window.enter(entry);
    entries[1]!.settled = true;
    window.leave(admitted[0]!);
    expect(names()).toBe('ac');
    expect(window.waiting).toBe(0);
  });

  it('skips an entry that is no longer admissible when its turn comes', () => {
    const admitted: Sized[] = [];
    const late = new Set(['b', 'd']);
    const admit = (entry: Sized) => admitted.push(entry);
    const window = new AdmissionQueue<Sized>({ messages: 1, bytes: 10 }, admit, ({ name }) => !late.has(name));
    for (const name of 'abcd') window.enter(new Sized(name));
    window.leave(admitted[0]!);
    window.leave(admitted[1]!);
    expect(admitted.map(({ name }) => name).join('')).toBe('ac');
    expect([window.inFlight, window.waiting]).toEqual([0, 0]);
  });

  it('admits everything in order when admitting an entry settles it at once', () => {
    const names: string[] = [];
    const window: AdmissionQueue<Sized> = new AdmissionQueue({ messages: 1, bytes: 10 }, (entry) => {
      names.push(entry.name);
      if (entry.name !== '0') window.leave(entry);
    });
    const first = new Sized('0');
    window.enter(first);
    for (let n = 1; n <= 5_000; n++) window.enter(new Sized(String(n)));
    window.leave(first);
    expect(names).toEqual(Array.from({ length: 5_001 }, (_, n) => String(n)));
    expect([window.inFlight, window.waiting]).toEqual([0, 0]);
  });
});
