import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/protocol/byte-writer.js';
import { beginFrame, endFrame, FrameError, FrameSplitter, frame } from '../../../src/transport/frames.js';
import { holds } from '../../support/holds.js';

const payloads = fc.array(fc.uint8Array({ maxLength: 40, size: 'max' }), { maxLength: 8 });

function copies(): { readonly messages: number[][]; onFrame(source: Buffer, start: number, end: number): void } {
  const messages: number[][] = [];
  return { messages, onFrame: (source, start, end) => messages.push([...source.subarray(start, end)]) };
}

/** The buffer in pieces that end where `cuts` says. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...ends].map((start, i) => bytes.subarray(start, ends[i] ?? bytes.length));
}

describe('frame, beginFrame and endFrame', () => {
  it('write the same bytes', () => {
    holds(
      fc.property(payloads, (list) => {
        const writer = new ByteWriter(16);
        for (const payload of list) {
          const opened = beginFrame(writer);
          writer.raw(payload);
          endFrame(writer, opened);
        }
        expect(writer.take().equals(Buffer.concat(list.map(frame)))).toBe(true);
      }),
    );
  });
});

describe('FrameSplitter', () => {
  it('delivers every message once and in order, however the bytes are split', () => {
    holds(
      fc.property(payloads, fc.array(fc.nat(), { maxLength: 12, size: 'max' }), (list, cuts) => {
        const splitter = new FrameSplitter(1000);
        const { messages, onFrame } = copies();
        for (const piece of pieces(Buffer.concat(list.map(frame)), cuts)) splitter.push(piece, onFrame);
        splitter.finish();
        expect(messages).toEqual(list.map((payload) => [...payload]));
        expect(splitter.buffered).toBe(0);
      }),
    );
  });

  it('delivers every message when each byte comes alone', () => {
    holds(
      fc.property(payloads, (list) => {
        const splitter = new FrameSplitter(1000);
        const { messages, onFrame } = copies();
        for (const byte of Buffer.concat(list.map(frame))) splitter.push(Buffer.of(byte), onFrame);
        expect(messages).toEqual(list.map((payload) => [...payload]));
      }),
    );
  });

  it('delivers every message when the bytes are cut at any two places', () => {
    const list = [0, 1, 4, 5, 6, 130].map((size) => Buffer.alloc(size, size));
    const bytes = Buffer.concat(list.map(frame));
    const splitter = new FrameSplitter(1_000);
    const wrong: number[][] = [];
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const received: Buffer[] = [];
        for (const piece of pieces(bytes, [first, second]))
          splitter.push(piece, (source, start, end) => received.push(Buffer.from(source.subarray(start, end))));
        splitter.finish();
        if (!Buffer.concat(received.map(frame)).equals(bytes)) wrong.push([first, second]);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('delivers messages within a chunk without copying them', () => {
    const chunk = Buffer.concat([frame(Buffer.from('a')), frame(Buffer.from('b'))]);
    const sources: Buffer[] = [];
    new FrameSplitter(10).push(chunk, (source) => sources.push(source));
    expect(sources.every((source) => source === chunk)).toBe(true);
    expect(sources).toHaveLength(2);
  });

  it('accepts a message of exactly the limit and refuses one byte more as soon as its prefix is there', () => {
    const { messages, onFrame } = copies();
    new FrameSplitter(3).push(frame(Buffer.from([1, 2, 3])), onFrame);
    expect(messages).toEqual([[1, 2, 3]]);
    const refused = () => new FrameSplitter(3).push(Buffer.from([0, 0, 0, 0, 4]), onFrame);
    expect(refused).toThrow(expect.objectContaining({ reason: 'too-large', size: 4 }));
  });

  it('reads the length as unsigned', () => {
    const refused = () => new FrameSplitter(2 ** 31).push(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), () => {});
    expect(refused).toThrow(expect.objectContaining({ reason: 'too-large', size: 0xffffffff }));
  });

  it.each([1, 2, 255])('refuses compression flag %i', (flag) => {
    const refused = () => new FrameSplitter(10).push(Buffer.from([flag, 0, 0, 0, 0]), () => {});
    expect(refused).toThrow(expect.objectContaining({ reason: 'compressed' }));
  });

  it('delivers what came before a frame that it refuses', () => {
    const { messages, onFrame } = copies();
    const chunk = Buffer.concat([frame(Buffer.from([7])), Buffer.from([1, 0, 0, 0, 0])]);
    expect(() => new FrameSplitter(10).push(chunk, onFrame)).toThrow(FrameError);
    expect(messages).toEqual([[7]]);
  });

  it('finish() tells of an end inside a message, at every byte of it', () => {
    const whole = frame(Buffer.from([1, 2, 3]));
    for (let size = 1; size < whole.length; size++) {
      const splitter = new FrameSplitter(10);
      splitter.push(whole.subarray(0, size), () => {});
      expect(splitter.buffered).toBe(size);
      expect(() => splitter.finish()).toThrow(expect.objectContaining({ reason: 'truncated' }));
    }
  });

  it.each([1, 2, 7, 100, 1024, 1025])(
    'holds a message that comes %i bytes at a time in memory like its own',
    (size) => {
      const splitter = new FrameSplitter(1 << 20);
      const whole = frame(Buffer.alloc(300_000, 7));
      let excess = 0;
      for (let at = 0; at < whole.length - size; at += size) {
        splitter.push(Buffer.from(whole.subarray(at, at + size)), () => {});
        excess = Math.max(excess, splitter.held - splitter.buffered * 1.25);
      }
      expect(splitter.buffered).toBeGreaterThan(298_000);
      expect(excess).toBeLessThan(5_000);
    },
  );

  it('holds small pieces between large ones, in order, in memory like their own', () => {
    const splitter = new FrameSplitter(1 << 20);
    const whole = frame(Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251)));
    const { messages, onFrame } = copies();
    for (let at = 0, small = false; at < whole.length; small = !small) {
      const next = Math.min(whole.length, at + (small ? 1 : 1500));
      splitter.push(whole.subarray(at, next), onFrame);
      if (next < whole.length) expect(splitter.held).toBeLessThan(splitter.buffered * 1.25 + 5_000);
      at = next;
    }
    expect(messages).toEqual([[...whole.subarray(5)]]);
  });

  it('holds nothing for bytes that were only announced, nor a large chunk for its last byte', () => {
    const announced = new FrameSplitter(2 ** 31);
    announced.push(Buffer.from([0, 0x40, 0, 0, 0]), () => {});
    expect(announced.held).toBeLessThan(10_000);
    const last = new FrameSplitter(2 ** 31);
    const chunk = Buffer.concat([frame(Buffer.alloc(1 << 20)), Buffer.of(0)]);
    last.push(chunk, () => {});
    expect([last.buffered, last.held < 10_000]).toEqual([1, true]);
    chunk.fill(9);
    last.push(Buffer.from([0, 0, 0, 1, 5]), (source, start, end) =>
      expect([...source.subarray(start, end)]).toEqual([5]),
    );
  });

  it('copies a large message once, however many chunks it comes in', () => {
    const message = Buffer.alloc(1 << 20, 7);
    const splitter = new FrameSplitter(1 << 21);
    const sizes: number[] = [];
    for (const piece of pieces(
      frame(message),
      Array.from({ length: 64 }, (_, i) => (i + 1) * 16_384),
    ))
      splitter.push(piece, (source, start, end) => sizes.push(end - start, source.length));
    expect(sizes).toEqual([1 << 20, (1 << 20) + 5]);
  });
});
