import { monotonicNow, wallNow } from './clock.js';
import { clearInterval, setInterval } from './timers.js';

/** Milliseconds between two ticks. */
export const TICK_MS = 2_000;

/** Receives how many milliseconds longer than usual the process stood still before this tick. */
export type OnTick = (stoodStill: number) => void;

const listeners = new Set<OnTick>();
let timer: NodeJS.Timeout | null = null;

/**
 * Calls `listener` every two seconds, and returns the function that ends this. All listeners share one timer, which does not
 * keep the process alive and exists only while there are listeners.
 *
 * A late tick tells that the process was stopped or the machine asleep. The monotonic clock of some platforms stands still
 * while the machine sleeps, so the wall clock counts as well; when it was only set ahead, the listeners look once too often.
 */
export function onTick(listener: OnTick): () => void {
  // Each call has its own entry: the same function may be given twice.
  const entry: OnTick = (stoodStill) => listener(stoodStill);
  listeners.add(entry);
  timer ??= start();
  return () => {
    listeners.delete(entry);
    if (listeners.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
}

function start(): NodeJS.Timeout {
  let monotonic = monotonicNow();
  let wall = wallNow();
  const tick = (): void => {
    const elapsed = Math.max(monotonicNow() - monotonic, wallNow() - wall);
    monotonic = monotonicNow();
    wall = wallNow();
    for (const listener of [...listeners]) listener(Math.max(0, elapsed - TICK_MS));
  };
  return setInterval(tick, TICK_MS).unref();
}
