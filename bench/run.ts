/**
 * Measures side by side: `npm run bench`, or `npm run bench NAME...` with some of data-plane, broker, envelope, metadata.
 * Figures are medians of several rounds; compare the ratios, not the microseconds, across machines.
 */
import { cpus } from 'node:os';
import { broker } from './broker.js';
import { dataPlane } from './data-plane.js';
import { envelope } from './envelope.js';
import { metadata } from './metadata.js';

const BENCHES: Record<string, (print: (text: string) => void) => Promise<void>> = {
  'data-plane': dataPlane,
  broker,
  envelope,
  metadata,
};

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(`bench: there is no ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}
const { model } = cpus()[0] ?? { model: 'unknown' };
console.log(`Node ${process.version}, ${cpus().length} x ${model}\n`);
for (const [name, bench] of Object.entries(BENCHES)) {
  if (chosen.length === 0 || chosen.includes(name)) await bench((text) => console.log(text));
}
