import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { closing } from '../../test/support/closing.js';
import { MovableClock } from '../src/clock.js';

/** Both ends of a connection. */
async function connection(): Promise<{ near: Socket; far: Socket }> {
  const server = closing(createServer());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  closing({ close: () => near.destroy() });
  const [far] = (await once(server, 'connection')) as [Socket];
  closing({ close: () => far.destroy() });
  return { near, far };
}

function clock(): MovableClock {
  const made = new MovableClock();
  closing({ close: () => made.stop() });
  return made;
}

describe('MovableClock', () => {
  it('runs a timer that became due while the process was suspended only after pending input is read', async () => {
    const time = clock();
    const [first, second] = [await connection(), await connection()];
    const order: string[] = [];
    const done = new Promise<void>((resolve) => {
      const note = (what: string): void => {
        order.push(what);
        if (order.length === 2) resolve();
      };
      second.far.on('data', () => note('input'));
      first.far.on('data', () => {
        second.near.write('x');
        time.after(5, () => note('timer'));
        // The process is blocked until the timer is due, with the input in the socket.
        for (const ends = Date.now() + 50; Date.now() < ends; );
      });
    });
    first.near.write('x');
    await done;
    expect(order).toEqual(['input', 'timer']);
  });

  it('runs each timer at its time, in order, while it is advanced', async () => {
    const time = clock();
    const began = time.now();
    const at: number[] = [];
    time.after(30_000, () => at.push(time.now() - began));
    time.after(10_000, () => at.push(time.now() - began));
    const every = time.every(20_000, () => at.push(time.now() - began));
    await time.advance(45_000);
    every.cancel();
    expect(at.map((ms) => Math.floor(ms / 10_000))).toEqual([1, 2, 3, 4]);
  });

  it('continues when the wall clock is set back, and does not jump when it is set ahead', async () => {
    const time = clock();
    const began = time.now();
    const hour = 3_600_000;
    const wall = Date.now();
    const stepped = vi.spyOn(Date, 'now').mockReturnValue(wall - hour);
    closing({ close: () => stepped.mockRestore() });
    let due = false;
    time.after(hour, () => {
      due = true;
    });
    await new Promise<void>((resolve) => time.after(5, resolve));
    stepped.mockReturnValue(wall + 2 * hour);
    await new Promise<void>((resolve) => time.after(5, resolve));
    expect(due).toBe(false);
    expect(time.now()).toBeGreaterThan(began);
    expect(time.now()).toBeLessThan(began + hour);
  });
});
