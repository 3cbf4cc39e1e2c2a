import type { Parameters } from 'fast-check';

/**
 * The number of runs and the seed of a fuzz test: the same on every run, so that failures are reproducible. FUZZ_SEED
 * tries other inputs, FUZZ_RUNS tries more inputs; a failure prints the seed and the path to its smallest input.
 */
export function fuzz<T>(runs = 300): Parameters<T> {
  const factor = Number(process.env.FUZZ_RUNS ?? runs) / runs;
  return { seed: Number(process.env.FUZZ_SEED ?? 20_240_229), numRuns: Math.ceil(runs * factor) };
}
