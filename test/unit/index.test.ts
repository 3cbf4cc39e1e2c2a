import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as surface from '../../src/index.js';

describe('the public surface', () => {
  it('lists its names by hand', () => {
    const source = readFileSync('src/index.ts', 'utf8');
    expect(source).not.toMatch(/export \*/);
    expect(source).not.toMatch(/export default/);
  });

  it('has the classes and functions that the documentation names', () => {
    expect(Object.keys(surface)).toEqual(
      expect.arrayContaining([
        'Client',
        'LiftbridgeError',
        'Subscription',
        'connect',
        'partitionByKey',
        'partitionByMurmur',
        'partitionByRoundRobin',
        'toPartition',
      ]),
    );
  });

  it('stays narrow enough to be learnt', () => {
    expect(Object.keys(surface).length).toBeLessThanOrEqual(45);
  });
});
