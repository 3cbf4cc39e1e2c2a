import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Checkpoints } from '../../../../src/consumer/partitions/checkpoints.js';
import { TimeoutError } from '../../../../src/errors.js';

vi.mock('../../../../src/async/timers.js', () => import('../../../support/global-timers.js'));
vi.mock('../../../../src/async/clock.js', () => import('../../../support/global-timers.js'));

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

let checkpoints: Checkpoints;
let reported: unknown[];

beforeEach(() => {
  vi.useFakeTimers();
  reported = [];
  const cluster = { emit: (_name: string, error: unknown) => reported.push(error) };
  checkpoints = new Checkpoints({ cluster } as never, { groupId: 'g' } as never, {} as never);
});
afterEach(() => {
  checkpoints.stop();
  vi.useRealTimers();
});

it('checkpoints are stored after each interval', async () => {
  const store = vi.spyOn(checkpoints, 'storeAll').mockResolvedValue();
  const partitions = [{}] as never;
  checkpoints.start(5_000, () => partitions);
  await pass(4_999);
  expect(store).not.toHaveBeenCalled();
  await pass(1);
  expect(store.mock.calls).toEqual([[partitions]]);
  await pass(10_000);
  expect(store).toHaveBeenCalledTimes(3);
});

it('a failure is reported, and tried again sooner', async () => {
  const late = new TimeoutError('late');
  const store = vi.spyOn(checkpoints, 'storeAll').mockRejectedValueOnce(late).mockResolvedValue();
  checkpoints.start(60_000, () => []);
  await pass(60_000);
  expect(reported).toEqual([late]);
  await pass(999);
  expect(store).toHaveBeenCalledTimes(1);
  await pass(1);
  expect(store).toHaveBeenCalledTimes(2);
  await pass(59_999);
  expect(store).toHaveBeenCalledTimes(2);
});

it('a short interval is not made longer by a failure', async () => {
  const store = vi.spyOn(checkpoints, 'storeAll').mockRejectedValue(new TimeoutError('late'));
  checkpoints.start(10, () => []);
  await pass(35);
  expect(store).toHaveBeenCalledTimes(3);
});

it('nothing is stored once they are stopped, also while one is being stored', async () => {
  const store = vi.spyOn(checkpoints, 'storeAll').mockResolvedValue();
  checkpoints.start(5_000, () => []);
  checkpoints.stop();
  expect(vi.getTimerCount()).toBe(0);
  checkpoints.start(5_000, () => []);
  await pass(4_999);
  vi.advanceTimersByTime(1);
  checkpoints.stop();
  await pass(60_000);
  expect(store).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});
