import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Keepalive } from '../../../src/transport/keepalive.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

let bytes = 0;
let log: string[] = [];
let watch: Keepalive;

beforeEach(() => {
  vi.useFakeTimers();
  bytes = 0;
  log = [];
  watch = new Keepalive({
    time: 400,
    timeout: 200,
    received: () => bytes,
    ask: (urgent) => log.push(urgent ? 'insist' : 'ask'),
    dead: () => log.push('dead'),
  });
});

afterEach(() => {
  watch.stop();
  vi.useRealTimers();
});

describe('Keepalive', () => {
  it('asks after the silence, insists after half of the timeout, and then gives the peer up', () => {
    vi.advanceTimersByTime(499);
    expect(log).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(log).toEqual(['ask']);
    vi.advanceTimersByTime(100);
    expect(log).toEqual(['ask', 'insist']);
    vi.advanceTimersByTime(101);
    expect(log).toEqual(['ask', 'insist', 'dead']);
    vi.advanceTimersByTime(10_000);
    expect(log).toEqual(['ask', 'insist', 'dead']);
  });

  it('asks nothing while bytes come, however few', () => {
    for (let i = 0; i < 50; i++) {
      bytes++;
      vi.advanceTimersByTime(300);
    }
    expect(log).toEqual([]);
  });

  it('counts any byte as an answer, and starts over', () => {
    vi.advanceTimersByTime(500);
    bytes++;
    vi.advanceTimersByTime(100);
    expect(log).toEqual(['ask']);
    vi.advanceTimersByTime(400);
    expect(log).toEqual(['ask', 'ask']);
    vi.advanceTimersByTime(100);
    bytes++;
    vi.advanceTimersByTime(101);
    expect(log).toEqual(['ask', 'ask', 'insist']);
  });

  it('counts what a busy process reads only after its timers', () => {
    vi.advanceTimersByTime(600);
    setTimeout(() => setImmediate(() => log.push('next turn')), 100);
    // Read in the turn in which the last timer fires, after that timer.
    setTimeout(() => {
      bytes++;
    }, 100);
    vi.advanceTimersByTime(101);
    expect(log).toEqual(['ask', 'insist', 'next turn']);
  });

  it('says nothing more once it is stopped', () => {
    vi.advanceTimersByTime(600);
    watch.stop();
    vi.advanceTimersByTime(10_000);
    expect(log).toEqual(['ask', 'insist']);
    expect(vi.getTimerCount()).toBe(0);
  });
});
