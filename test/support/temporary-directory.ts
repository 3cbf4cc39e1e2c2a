import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { closingWithFile } from './closing.js';

/** A new directory, which is removed after the tests of the file, or after the run when the file is aborted. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(inject('runDirectory'), 'directory-'));
  closingWithFile({ close: () => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }) });
  return directory;
}
