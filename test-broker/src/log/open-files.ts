import { closeSync, openSync, writevSync } from 'node:fs';

const DEFAULT_MAX_OPEN_FILES = 256;

/**
 * Files that are open for appending. A broker may have many thousand partitions, more than the files that a process may
 * open, so the least recently written files are closed.
 */
export class OpenFiles {
  readonly #limit: number;
  readonly #descriptors = new Map<string, number>();

  /** `limit`: greatest number of open files, default 256. */
  constructor(limit: number = DEFAULT_MAX_OPEN_FILES) {
    this.#limit = limit;
  }

  /** Appends the parts to the file with one call; returns the number of written bytes. Creates the file. */
  append(path: string, parts: readonly Uint8Array[]): number {
    return writevSync(this.#open(path), parts);
  }

  /** Closes the file if it is open. Call it before the file is renamed, truncated or deleted. */
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
    // Moved to the end of the map, which is in the order of the last use.
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
