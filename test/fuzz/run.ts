import { parseArgs } from 'node:util';
import { TARGETS } from './targets.js';

const USAGE =
  'npm run fuzz -- [--minutes 5] [--seed N] [--only envelopes,frames,codecs,acks,arguments,broker,servers] [--inputs N] [--stacks]';
/** Bytes by which memory may grow between the first tenth of a run and its end. */
const MOST_GROWTH = 64 * 1024 * 1024;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string', default: TARGETS.map(({ name }) => name).join(',') },
    inputs: { type: 'string', default: 'Infinity' },
    stacks: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit();
}
// The stack of an error costs more than the rest of an input, and nearly every input causes an error.
if (!values.stacks) Error.stackTraceLimit = 0;
const names = values.only.split(',');
const unknown = names.filter((name) => !TARGETS.some((target) => target.name === name));
if (unknown.length > 0) throw new Error(`no such target: ${unknown.join(', ')}. ${USAGE}`);
const firstSeed = Number(values.seed);
const mostInputs = Number(values.inputs);
const timeEach = (Number(values.minutes) * 60_000) / names.length;
let place = 'before the first target';
const fail = (error: unknown): never => {
  console.error(`failed: npm run fuzz -- --stacks ${place}`);
  console.error(error);
  process.exit(1);
};
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

/** Bytes in use, including buffers, after a garbage collection if Node allows it. */
function memory(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

console.log(`seed ${firstSeed}`);
for (const target of TARGETS.filter(({ name }) => names.includes(name))) {
  place = `--only ${target.name} --seed ${firstSeed}`;
  const open = await target.open();
  const started = performance.now();
  let inputs = 0;
  let early: number | null = null;
  let highest = 0;
  let sampledAt = 0;
  for (let seed = firstSeed; inputs < mostInputs; seed++) {
    const elapsed = performance.now() - started;
    if (elapsed > timeEach) break;
    place = `--only ${target.name} --seed ${seed}`;
    inputs += await open.step(seed);
    if (elapsed < sampledAt) continue;
    sampledAt = elapsed + Math.min(timeEach / 20, 5_000);
    const used = memory();
    if (elapsed > timeEach / 10 || inputs > mostInputs / 10) early ??= used;
    highest = Math.max(highest, early === null ? 0 : used);
    // A turn for signals and timers, since steps that never wait leave none.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await open.close();
  const seconds = (performance.now() - started) / 1000;
  const grown = early === null ? 0 : highest - early;
  const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  console.log(
    `${target.name}: ${inputs.toLocaleString('en')} ${target.unit} in ${seconds.toFixed(0)} s, memory ${megabytes(early ?? memory())}, grown by at most ${megabytes(grown)}${open.detail === undefined ? '' : `, ${open.detail()}`}`,
  );
  if (grown > MOST_GROWTH) fail(new Error(`memory grew by ${megabytes(grown)}`));
}
console.log('nothing uncaught, nothing unhandled, every error typed');
process.exit();
