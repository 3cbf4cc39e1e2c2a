// Runs each test file by itself, several times in a row, and reports the runs that failed: finds flaky tests.
//
//   npm run test:repeat -- [--times 30] [--busy 0] [--all] [filter ...]
//
// A filter is a part of a path. Without one, the files that touch time, processes or sockets are run; with --all, every
// file. --busy N keeps N processes busy meanwhile, as on a machine with other work.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { createVitest } from 'vitest/node';

/** What a file that depends on time, processes or sockets mentions, by itself or through a fixture. */
const TOUCHES =
  /TestBroker|broker-fixture|consumer-harness|RealNatsServer|node:(child_process|http2|net|timers|worker_threads)|support\/(broker|certificates|cluster|raw-peer|scripted-peer|stub-server)|grpc\/fixture|raw-client|nats-servers|[^.\w](setTimeout|sleep|monotonicNow)\(|useFakeTimers/;

const { values, positionals } = parseArgs({
  options: {
    times: { type: 'string', default: '30' },
    busy: { type: 'string', default: '0' },
    all: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const times = Number(values.times);

const burners = Array.from({ length: Number(values.busy) }, () =>
  spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
);
process.on('exit', () => {
  for (const burner of burners) burner.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

const vitest = await createVitest('test', { watch: false, reporters: [{}], maxWorkers: 1 });
await vitest.standalone();
const specifications = (await vitest.globTestSpecifications(positionals))
  .filter(({ moduleId }) => values.all || positionals.length > 0 || TOUCHES.test(readFileSync(moduleId, 'utf8')))
  .sort((a, b) => (a.moduleId < b.moduleId ? -1 : 1));
if (specifications.length === 0) throw new Error(`no test file matches ${positionals.join(' ')}`);

const flaky = [];
for (const specification of specifications) {
  const file = relative(process.cwd(), specification.moduleId);
  const began = performance.now();
  let failed = 0;
  for (let run = 1; run <= times; run++) {
    const errors = await failuresOf(specification);
    if (errors.length === 0) continue;
    failed++;
    console.log(`${file}, run ${run} of ${times}:\n${errors.join('\n')}`);
  }
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  console.log(`${failed === 0 ? 'ok  ' : 'FAIL'} ${file}: ${times - failed} of ${times} passed, ${seconds} s`);
  if (failed > 0) flaky.push(file);
}
await vitest.close();
console.log(`${specifications.length - flaky.length} of ${specifications.length} files passed ${times} times`);
process.exit(flaky.length === 0 ? 0 : 1);

/** Runs a file once; what went wrong, one text a failure. */
async function failuresOf(specification) {
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications([specification], false);
  const errors = unhandledErrors.map((error) => describe('unhandled', error));
  // Vitest also tells of the files before.
  const modules = testModules.filter(({ moduleId }) => moduleId === specification.moduleId);
  for (const module of modules) {
    for (const error of module.errors()) errors.push(describe('file', error));
    for (const test of module.children.allTests('failed')) {
      for (const error of test.result().errors) errors.push(describe(test.fullName, error));
    }
  }
  if (modules.length === 0) errors.push('  no test ran');
  vitest.state.clearErrors();
  return errors;
}

/** The message, with the lines of the stack that are in this project. */
function describe(where, { message, stack = '' }) {
  const lines = stack.split('\n').filter((line) => /^ +at /.test(line) && !/node_modules|node:/.test(line));
  return [`  ${where}: ${message}`, ...lines].join('\n');
}
