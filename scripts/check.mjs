// The whole gate: types, lint and unused code beside the tests, which wait more than they compute. Arguments are for Vitest.
// The first check that fails ends the others.
import { spawn } from 'node:child_process';

const CHECKS = [
  { name: 'types', args: ['node_modules/typescript/bin/tsc', '--noEmit'] },
  { name: 'lint', args: ['node_modules/@biomejs/biome/bin/biome', 'check'] },
  { name: 'unused code', args: ['node_modules/knip/bin/knip.js'] },
  { name: 'tests', args: ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)], isLoud: true },
];

const running = new Set();
for (const check of CHECKS) start(check);
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    process.exitCode ||= 130;
    stop();
  });

/** The tests tell what they do; what the others say comes at once when they end. */
function start({ name, args, isLoud = false }) {
  const child = spawn(process.execPath, args, { stdio: isLoud ? 'inherit' : ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let output = '';
  if (!isLoud)
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
      });
  child.on('close', (code, signal) => {
    running.delete(child);
    const isStopped = signal === 'SIGTERM' && process.exitCode > 0;
    if (isStopped) return;
    if (!isLoud) console.log(`${name}: ${code === 0 ? 'ok' : `failed\n${output}`}`);
    if (code === 0) return;
    process.exitCode ||= 1;
    stop();
  });
}

function stop() {
  for (const child of running) child.kill('SIGTERM');
}
