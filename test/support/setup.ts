import { afterAll, afterEach, beforeEach } from 'vitest';
import { closeOpenedByFile, closeOpenedByTest } from './closing.js';
import { lateRejections, noteTest } from './late-rejections.js';

// A setup file of Vitest: runs before each test file, also when several share a process. Hooks run in reverse order, so
// these run after all others, and the first of them runs last.
beforeEach(({ task }) => noteTest(task));
afterEach(lateRejections);
afterEach(closeOpenedByTest);
afterAll(closeOpenedByFile);
