import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { base } from './vitest.base.js';

/** Files that take longest, in any order. Begun last, one of them would run alone at the end. */
const LONG = [
  'test/examples/examples',
  'test/packaging/pack',
  'hostile-arguments',
  'test/integration/hostile-servers',
  'test/docs/reference',
  'test/integration/subscribe-faults',
  'test/integration/consumer-limits',
  'test/integration/consumer-failures',
  'test/integration/publish-recovery',
  'test-broker/test/conformance',
  'test-broker/test/cli.',
];

/** Mentioned by a file that replaces modules, timers or globals, or that measures or watches its process. */
const NEEDS_PROCESS =
  /vi\.(mock|doMock|useFakeTimers|stubGlobal|stubEnv)|process\.(emit|getActiveResourcesInfo)|support\/(memory|global-timers)|setFlagsFromString|node:vm/;
/** Folders whose tests start processes or read the project itself. */
const APART = /^test\/(packaging|examples|real-cluster|interop|docs|fuzz)\//;

const root = fileURLToPath(new URL('.', import.meta.url));

function testFiles(): string[] {
  return ['test', 'test-broker/test'].flatMap((folder) =>
    (readdirSync(root + folder, { recursive: true }) as string[])
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `${folder}/${name}`),
  );
}

const needsProcess = (file: string): boolean =>
  APART.test(file) || LONG.some((part) => file.includes(part)) || NEEDS_PROCESS.test(readFileSync(root + file, 'utf8'));

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // Files that share a process come in a row, at the end: a process is handed on to the next file only if that shares it.
    const rank = ({ moduleId, project }: TestSpecification): number =>
      LONG.some((part) => moduleId.includes(part)) ? 0 : project.config.isolate ? 1 : 2;
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

const files = testFiles();
const apart = new Set(files.filter(needsProcess));

/**
 * Loading the sources takes longer than most files of tests run. So files share a process, one after the other, unless they do
 * something that another file would notice.
 */
export default mergeConfig(
  base,
  defineConfig({
    test: {
      // More than there are processors in a small machine: many tests wait.
      maxWorkers: 4,
      sequence: { sequencer: LongFirst },
      projects: [
        { extends: true, test: { name: 'apart', isolate: true, include: [...apart] } },
        {
          extends: true,
          test: { name: 'shared', isolate: false, include: files.filter((file) => !apart.has(file)) },
        },
      ],
    },
  }),
);
