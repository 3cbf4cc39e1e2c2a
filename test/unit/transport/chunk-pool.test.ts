import { Writable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkPool } from '../../../src/transport/chunk-pool.js';
import { FrameSplitter } from '../../../src/transport/frames.js';
import { Outbox } from '../../../src/transport/outbox.js';

describe('ChunkPool', () => {
  it('hands a chunk out again only when the writer has left it and every slice of it has come back', () => {
    const pool = new ChunkPool();
    const chunk = pool.allocate(10);
    const [one, other] = [chunk.subarray(0, 5), chunk.subarray(5, 10)];
    pool.lend(one);
    pool.lend(other);
    pool.giveBack(one);
    pool.leave(chunk);
    expect(pool.allocate(10)).not.toBe(chunk);
    pool.giveBack(other);
    expect(pool.allocate(10)).toBe(chunk);
  });

  it('hands a chunk out again at once when every slice came back before the writer left it, however often', () => {
    const pool = new ChunkPool();
    const chunk = pool.allocate(10);
    for (let round = 0; round < 3; round++) {
      pool.lend(chunk.subarray(0, 5));
      pool.giveBack(chunk.subarray(0, 5));
    }
    pool.leave(chunk);
    expect(pool.allocate(10)).toBe(chunk);
  });

  it('makes larger chunks for larger messages, and does not keep them', () => {
    const pool = new ChunkPool();
    const large = pool.allocate(pool.chunkSize + 1);
    expect(large.length).toBe(pool.chunkSize + 1);
    pool.leave(large);
    expect(pool.allocate(pool.chunkSize)).not.toBe(large);
  });
});

/** Takes its time with every chunk, and looks at it again before it says that it is done. */
class SlowTarget extends Writable {
  readonly taken: Buffer[] = [];

  constructor() {
    super({ highWaterMark: 1 });
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const before = Buffer.from(chunk);
    setImmediate(() => {
      this.taken.push(before);
      expect(chunk.equals(before)).toBe(true);
      done();
    });
  }
}

describe('Outbox', () => {
  it('never changes what the connection has not taken yet, whatever the sizes and turns', async () => {
    const sizes = fc.array(fc.oneof(fc.nat(300), fc.integer({ min: 1_000, max: 400_000 })), {
      minLength: 1,
      maxLength: 30,
      size: 'max',
    });
    await fc.assert(
      fc.asyncProperty(fc.array(sizes, { minLength: 1, maxLength: 5 }), async (turns) => {
        const outbox = new Outbox();
        const target = new SlowTarget();
        outbox.attach(target);
        const sent: Buffer[] = [];
        for (const turn of turns) {
          for (const size of turn) {
            const message = Buffer.alloc(size, sent.length % 251);
            sent.push(message);
            outbox.add((writer) => writer.raw(message));
          }
          await new Promise(setImmediate);
        }
        await outbox.drained(0);
        const received: Buffer[] = [];
        const splitter = new FrameSplitter(1_000_000);
        for (const chunk of target.taken)
          splitter.push(chunk, (from, start, end) => received.push(from.subarray(start, end)));
        expect(received.length).toBe(sent.length);
        expect(received.every((message, index) => message.equals(sent[index]!))).toBe(true);
      }),
      { numRuns: 25 },
    );
  });
});
