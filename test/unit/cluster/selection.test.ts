import { describe, expect, it } from 'vitest';
import { type Candidate, chooseBroker } from '../../../src/cluster/selection.js';

const broker = (id: string, rest: Partial<Candidate> = {}): Candidate => ({
  id,
  address: `${id}:9292`,
  up: true,
  suspect: false,
  latency: null,
  load: 0,
  inFlight: 0,
  ...rest,
});

const chosen = (
  candidates: readonly Candidate[],
  selection: Parameters<typeof chooseBroker>[1],
  except: readonly string[] = [],
): readonly string[] => {
  const ids = new Set<string>();
  for (let i = 0; i < 20; i++) ids.add(chooseBroker(candidates, selection, new Set(except), () => i / 20)!.id);
  return [...ids].sort();
};

describe('chooseBroker', () => {
  const three = [broker('a'), broker('b'), broker('c')];

  it('is undefined without candidates', () => {
    expect(chooseBroker([], 'random')).toBeUndefined();
  });

  it('spreads over all of them when random', () => {
    expect(chosen(three, 'random')).toEqual(['a', 'b', 'c']);
  });

  it('leaves out those that failed, by id or by address, while another is left', () => {
    expect(chosen(three, 'random', ['a', 'b:9292'])).toEqual(['c']);
    expect(chosen(three, 'random', ['a', 'b', 'c'])).toEqual(['a', 'b', 'c']);
  });

  it('leaves out those that do not answer while another is left', () => {
    const candidates = [broker('a', { up: false }), broker('b', { up: null }), broker('c', { up: false })];
    expect(chosen(candidates, 'random')).toEqual(['b']);
    expect(chosen(candidates, 'random', ['b'])).toEqual(['a', 'c']);
  });

  it('leaves out those that left a call unanswered, while another answers', () => {
    const candidates = [broker('a', { suspect: true }), broker('b'), broker('c', { up: false })];
    expect(chosen(candidates, 'random')).toEqual(['b']);
    expect(chosen(candidates, 'random', ['b'])).toEqual(['a']);
  });

  it('takes the shortest measured round trip, and any when none was measured', () => {
    const measured = [broker('a', { latency: 9 }), broker('b', { latency: 2 }), broker('c')];
    expect(chosen(measured, 'latency')).toEqual(['b']);
    expect(chosen(measured, 'latency', ['b'])).toEqual(['a']);
    expect(chosen(three, 'latency')).toEqual(['a', 'b', 'c']);
  });

  it('takes the smallest load, then the fewest calls under way, then any', () => {
    const loaded = [broker('a', { load: 5 }), broker('b', { load: 1, inFlight: 3 }), broker('c', { load: 1 })];
    expect(chosen(loaded, 'workload')).toEqual(['c']);
    expect(chosen(loaded, 'workload', ['c'])).toEqual(['b']);
    expect(chosen([broker('a', { load: 1 }), broker('b', { load: 1 })], 'workload')).toEqual(['a', 'b']);
  });

  it('prefers a slow broker that answers to a fast one that failed', () => {
    const candidates = [broker('a', { latency: 1, up: false }), broker('b', { latency: 50 })];
    expect(chosen(candidates, 'latency')).toEqual(['b']);
  });
});
