import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes of buffers that are in use: garbage, which a busy process collects late, is not counted. */
export function bufferBytes(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}

/** Bytes in use, in the heap and outside. */
export function usedBytes(): number {
  collect();
  const { external, arrayBuffers, heapUsed } = process.memoryUsage();
  return Math.max(external, arrayBuffers) + heapUsed;
}
