import { describe, expect, it, vi } from 'vitest';
import { deferred } from '../../../src/async/deferred.js';
import { SingleFlight } from '../../../src/async/single-flight.js';

describe('SingleFlight', () => {
  it('runs the work of a key once for all who ask while it runs', async () => {
    const flights = new SingleFlight<string, number>();
    const answer = deferred<number>();
    const work = vi.fn(() => answer.promise);
    const both = [flights.run('a', work), flights.run('a', work)];
    const other = flights.run('b', async () => 2);
    answer.resolve(1);
    expect(await Promise.all(both)).toEqual([1, 1]);
    expect(await other).toBe(2);
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('starts the work again once it has settled, after a failure too', async () => {
    const flights = new SingleFlight<string, number>();
    await expect(flights.run('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await flights.run('a', async () => 1)).toBe(1);
    expect(await flights.run('a', async () => 2)).toBe(2);
  });

  it('leaves no unhandled rejection when the caller does not look at the promise', async () => {
    const flights = new SingleFlight<string, number>();
    const answer = deferred<number>();
    void flights.run('a', () => answer.promise).catch(() => undefined);
    const second = flights.run('a', () => answer.promise);
    answer.reject(new Error('no'));
    await expect(second).rejects.toThrow('no');
  });
});
