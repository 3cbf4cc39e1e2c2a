import { crc32 } from 'node:zlib';

/** The partition of the cursors stream that holds a cursor: CRC-32 of `id,stream,partition`, as the server computes it. */
export function cursorPartition(cursorId: string, stream: string, partition: number, partitions: number): number {
  return crc32(`${cursorId},${stream},${partition}`) % partitions;
}
