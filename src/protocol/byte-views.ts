const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
const readLength = getter('length');
const readOffset = getter('byteOffset');
const readBuffer = getter('buffer');

function getter(name: string): () => unknown {
  return Object.getOwnPropertyDescriptor(typedArray, name)!.get!;
}

/**
 * How many bytes there are. An object of the caller may say anything of its `length`, and a length that is none would leave
 * the end of a buffer nowhere. Throws TypeError for what is no typed array.
 */
export function byteCount(bytes: Uint8Array): number {
  return readLength.call(bytes) as number;
}

/** A Buffer on the same memory, without anything that the caller has put on the object or its class. Throws TypeError likewise, and when the memory was transferred away. */
export function plainView(bytes: Uint8Array): Buffer {
  const buffer = readBuffer.call(bytes) as ArrayBuffer;
  return Buffer.from(buffer, readOffset.call(bytes) as number, byteCount(bytes));
}

/** A copy of the bytes. Throws TypeError for what is no typed array. */
export function copyOf(bytes: Uint8Array): Buffer {
  const size = byteCount(bytes);
  const copy = Buffer.allocUnsafe(size);
  if (size > 0) copy.set(bytes);
  return copy;
}
