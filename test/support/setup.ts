import { afterAll, afterEach, beforeEach } from 'vitest';
import { closeOpenedByFile, closeOpenedByTest } from './closing.js';
import { lateRejections, noteTest } from './late-rejections.js';

// A setup file of Vitest: runs before each file of tests, also where several share a process. Hooks run in reverse order, so
// these run after all others, and the first of them is the last.
beforeEach(({ task }) => noteTest(task));
afterEach(lateRejections);
afterEach(closeOpenedByTest);
afterAll(closeOpenedByFile);
