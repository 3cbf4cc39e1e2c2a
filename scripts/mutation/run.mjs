// Changes the sources in small ways, one at a time, and counts how many of the changes some test notices.
//
//   npm run mutation -- [--seed 1] [--sample 250] [--minutes 20] [--jobs 2] [--file part-of-a-path] [--out FILE]
//
// The sample is the same for the same seed and the same sources. What is not done after the minutes is left out and told.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mutantsOf } from './mutants.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The tests of a folder: parts of paths, as Vitest takes them. */
const TESTS = {
  publish: [
    'test/unit/publish/',
    'test/unit/async/timeout-queue',
    'test/unit/async/sliced',
    'test/integration/publish',
    'test/integration/client-close',
    'test/integration/metadata-function',
  ],
  subscribe: ['test/unit/subscribe/', 'test/integration/subscribe', 'test/integration/existence'],
  consumer: ['test/unit/consumer/', 'test/integration/consumer'],
  transport: [
    'test/unit/transport/',
    'test/integration/forgotten-connections',
    'test/integration/tls-terminator',
    'test/integration/client-connect',
    'test/integration/client-silence',
    'test/integration/publish-faults',
    'test/integration/subscribe-faults',
  ],
};
/** A run that takes longer stands still: nothing of the suite takes so long. */
const RUN_LIMIT_MS = 300_000;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    sample: { type: 'string', default: '250' },
    minutes: { type: 'string', default: '20' },
    jobs: { type: 'string', default: '2' },
    file: { type: 'string', default: '' },
    out: { type: 'string', default: '' },
  },
});

const everything = Object.keys(TESTS).flatMap((folder) =>
  readdirSync(join(root, 'src', folder), { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .flatMap((name) => {
      const path = `src/${folder}/${name}`;
      return mutantsOf(path, readFileSync(join(root, path), 'utf8')).map((mutant) => ({ folder, path, ...mutant }));
    }),
);
const candidates = everything.filter(({ path }) => path.includes(values.file));
const sample = shuffled(candidates, Number(values.seed)).slice(0, Number(values.sample));
console.log(`${sample.length} of ${candidates.length} mutants, seed ${values.seed}`);

for (const folder of new Set(sample.map(({ folder }) => folder))) {
  const { outcome, output } = await runTests(folder, null);
  if (outcome === 'survived') continue;
  console.error(`the tests of ${folder} fail without any mutant:\n${output}`);
  process.exit(2);
}

const ends = performance.now() + Number(values.minutes) * 60_000;
const results = [];
let next = 0;
await Promise.all(Array.from({ length: Number(values.jobs) }, work));
report();

async function work() {
  while (next < sample.length && performance.now() < ends) {
    const mutant = sample[next++];
    const { outcome } = await runTests(mutant.folder, mutant);
    results.push({ ...mutant, outcome });
    if (outcome === 'survived') console.log(`survived: ${told(mutant)}`);
  }
}

/** Whether the tests of a folder notice a mutant: 'killed', 'timeout' or 'survived'. */
function runTests(folder, mutant) {
  return new Promise((resolve) => {
    const args = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.mutation.config.ts'];
    const env = { ...process.env, ...(mutant === null ? {} : { MUTANT: JSON.stringify(mutant) }) };
    const child = spawn(process.execPath, [...args, ...TESTS[folder]], { cwd: root, env, detached: true });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
      });
    // A worker that never returns does not end with its parent.
    const stop = () => {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch (error) {
        if (error.code !== 'ESRCH') throw error;
      }
    };
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      stop();
    }, RUN_LIMIT_MS);
    child.on('close', (code) => {
      clearTimeout(timer);
      stop();
      resolve({ outcome: isLate ? 'timeout' : code === 0 ? 'survived' : 'killed', output });
    });
  });
}

function report() {
  for (const folder of Object.keys(TESTS)) {
    const own = results.filter((result) => result.folder === folder);
    if (own.length > 0) console.log(`src/${folder}: ${score(own)}`);
  }
  console.log(`all: ${score(results)}`);
  if (results.length < sample.length) console.log(`${sample.length - results.length} were not run in time`);
  if (values.out !== '') writeFileSync(values.out, JSON.stringify(results, null, 2));
}

function score(list) {
  const survived = list.filter(({ outcome }) => outcome === 'survived').length;
  const percent = ((100 * (list.length - survived)) / list.length).toFixed(1);
  return `${list.length - survived} of ${list.length} killed (${percent} %)`;
}

function told({ path, line, kind, original, replacement }) {
  const short = (text) => (text.length > 70 ? `${text.slice(0, 67)}...` : text).replaceAll(/\s+/g, ' ');
  return `${path}:${line} ${kind}: ${short(original)} -> ${short(replacement) || 'nothing'}`;
}

/** The list in an order that the seed decides. */
function shuffled(list, seed) {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  const result = [...list];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}
