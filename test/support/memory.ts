import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes of buffers in use, without garbage, which a busy process collects late. */
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
