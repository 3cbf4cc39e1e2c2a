import type { Parameters } from 'fast-check';

/**
 * How much a fuzz test does: bounded and the same on every run, so that a failure can be looked at. FUZZ_SEED tries other
 * inputs, FUZZ_RUNS more of them; a failure prints the seed and the path to its smallest input.
 */
export function fuzz<T>(runs = 300): Parameters<T> {
  const factor = Number(process.env.FUZZ_RUNS ?? runs) / runs;
  return { seed: Number(process.env.FUZZ_SEED ?? 20_240_229), numRuns: Math.ceil(runs * factor) };
}
