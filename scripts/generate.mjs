// Writes src/protocol/generated from proto/. With --check it writes nothing and fails when
// what is committed is not what the proto files give.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const target = join(root, 'src/protocol/generated');
const require = createRequire(import.meta.url);

const OPTIONS = [
  'outputServices=generic-definitions',
  'env=both', // bytes are views of what was received, not copies
  'forceLong=bigint',
  'esModuleInterop=true',
  'importSuffix=.js',
  'useOptionals=messages',
  'useMapType=true', // a header may be called __proto__
  'snakeToCamel=true',
  'outputJsonMethods=false',
  'useExactTypes=false',
  'exportCommonSymbols=false',
  'enumsAsLiterals=true',
  'unrecognizedEnum=false',
  'comments=true',
];

function generate(folder) {
  const protoc = join(dirname(require.resolve('protoc/package.json')), 'protoc.cjs');
  const plugin = join(root, 'node_modules/.bin/protoc-gen-ts_proto');
  const protos = readdirSync(join(root, 'proto')).filter((name) => name.endsWith('.proto'));
  execFileSync(process.execPath, [
    protoc,
    `--plugin=protoc-gen-ts_proto=${plugin}`,
    `--ts_proto_out=${folder}`,
    `--ts_proto_opt=${OPTIONS.join(',')}`,
    '-I',
    join(root, 'proto'),
    ...protos,
  ]);
  return readdirSync(folder).map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));
}

const scratch = mkdtempSync(join(tmpdir(), 'liftbridge-generate-'));
try {
  const files = generate(scratch);
  if (process.argv.includes('--check')) {
    const stale = files.filter(({ name, text }) => readFileSync(join(target, name), 'utf8') !== text);
    if (stale.length > 0) {
      console.error(`stale: ${stale.map(({ name }) => name).join(', ')}; run npm run generate`);
      process.exitCode = 1;
    }
  } else {
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { recursive: true });
    for (const { name, text } of files) writeFileSync(join(target, name), text);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
