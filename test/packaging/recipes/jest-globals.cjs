/** The globals that the Jest recipe needs, based on node:test. The test covers the CommonJS builds of the packages. */
const assert = require('node:assert/strict');
const runner = require('node:test');

globalThis.beforeAll = runner.before;
globalThis.beforeEach = runner.beforeEach;
globalThis.afterAll = runner.after;
globalThis.test = runner.test;
globalThis.expect = (actual) => ({ toBe: (expected) => assert.equal(actual, expected) });
