import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Heartbeat } from '../../../../src/consumer/membership/heartbeat.js';
import type { Membership } from '../../../../src/consumer/membership/membership.js';
import { FakeCluster } from '../fake-cluster.js';

vi.mock('../../../../src/async/timers.js', () => import('../../../support/global-timers.js'));
vi.mock('../../../../src/async/clock.js', () => import('../../../support/global-timers.js'));

const INTERVAL = 10_000;
let polls: number;
let heartbeat: Heartbeat;

beforeEach(() => {
  vi.useFakeTimers();
  polls = 0;
  const membership = {
    mayBeReplaced: false,
    poll: async () => {
      polls++;
      return { epoch: 1n, assignments: [] };
    },
  } as unknown as Membership;
  const events = {
    assigned: () => true,
    isOwn: async () => true,
    replaced: () => undefined,
    current: () => undefined,
    isStalled: () => false,
    denied: async () => 'joined' as const,
    failed: () => undefined,
  };
  heartbeat = new Heartbeat(membership, INTERVAL, 1_000, events, new FakeCluster(() => ({})).asCluster);
});
afterEach(async () => {
  await heartbeat.stop();
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

it('a heartbeat polls at once and then once in each interval', async () => {
  heartbeat.start();
  await pass(0);
  expect(polls).toBe(1);
  await pass(INTERVAL - 1);
  expect(polls).toBe(1);
  await pass(1);
  expect(polls).toBe(2);
  await pass(INTERVAL);
  expect(polls).toBe(3);
});

it('a new interval counts from the next poll on', async () => {
  heartbeat.start();
  await pass(0);
  heartbeat.interval = 1_000;
  await pass(INTERVAL - 1);
  expect(polls).toBe(1);
  await pass(1_001);
  expect(polls).toBe(3);
});
