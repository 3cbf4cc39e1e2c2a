/** Compares text as the server does: by UTF-8 bytes, which differs from the order of UTF-16 units. */
export function byteOrder(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}
