import { closeSync, openSync, writevSync } from 'node:fs';

const DEFAULT_MAX_OPEN_FILES = 256;

/**
 * Files that are open for appending. A broker may hold many thousand partitions, more than a process may have files
 * open, so those that were not written to for longest are closed.
 */
export class OpenFiles {
  readonly #limit: number;
  readonly #descriptors = new Map<string, number>();

  /** `limit`: files that are open at the same time, default 256. */
  constructor(limit: number = DEFAULT_MAX_OPEN_FILES) {
    this.#limit = limit;
  }

  /** Writes the parts to the end of the file in one call; answers how many bytes were written. Creates the file. */
  append(path: string, parts: readonly Uint8Array[]): number {
    return writevSync(this.#open(path), parts);
  }

  /** Closes the file if it is open. Call it before the file is renamed, cut or deleted. */
  close(path: string): void {
    const descriptor = this.#descriptors.get(path);
    if (descriptor === undefined) return;
    this.#descriptors.delete(path);
    closeSync(descriptor);
  }

  /** Closes all. */
  closeAll(): void {
    for (const path of [...this.#descriptors.keys()]) this.close(path);
  }

  #open(path: string): number {
    const known = this.#descriptors.get(path);
    // Moved to the end of the map, whose order is that of the last use.
    if (known !== undefined) this.#descriptors.delete(path);
    const descriptor = known ?? openSync(path, 'a');
    this.#descriptors.set(path, descriptor);
    if (this.#descriptors.size > this.#limit) {
      for (const oldest of this.#descriptors.keys()) {
        this.close(oldest);
        break;
      }
    }
    return descriptor;
  }
}
