/** What the Jest recipe expects to find, over node:test: the CommonJS way through the packages is what it proves. */
const assert = require('node:assert/strict');
const runner = require('node:test');

globalThis.beforeAll = runner.before;
globalThis.beforeEach = runner.beforeEach;
globalThis.afterAll = runner.after;
globalThis.test = runner.test;
globalThis.expect = (actual) => ({ toBe: (expected) => assert.equal(actual, expected) });
