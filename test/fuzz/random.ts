/** Random numbers that depend only on the seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 2_654_435_761) ^ 0x9e3779b9) >>> 0;
  }

  /** From 0 up to, but excluding, `limit`. */
  below(limit: number): number {
    // xorshift32: good enough to choose inputs, and fast.
    let x = this.#state || 1;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state % limit;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  bytes(size: number): Buffer {
    const bytes = Buffer.allocUnsafe(size);
    for (let i = 0; i < size; i++) bytes[i] = this.below(256);
    return bytes;
  }
}

const ODD = [0, 1, 2, 5, 0x0a, 0x0d, 0x12, 0x20, 0x7f, 0x80, 0xc3, 0xff];

/** A copy of valid bytes with some errors. */
export function mutated(random: Random, sound: Buffer): Buffer {
  let bytes: Buffer = Buffer.from(sound);
  for (let changes = random.below(4) + 1; changes > 0; changes--) {
    const at = random.below(bytes.length + 1);
    switch (random.below(7)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << random.below(8);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = random.pick(ODD);
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(random.below(8)), bytes.subarray(at)]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + random.below(4)))]);
        break;
      case 5:
        bytes = Buffer.concat([bytes, bytes.subarray(at)]);
        break;
      default:
        bytes.fill(random.pick(ODD), at, Math.min(bytes.length, at + random.below(6)));
    }
  }
  return bytes;
}
