import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';
import { ROOT, runToEnd } from '../../test/support/child-process.js';

const CONFORMANCE = resolve(ROOT, '../shared/conformance');
const PRESENT = existsSync(join(CONFORMANCE, 'run.mjs'));
const CHILDREN = 3;
const AT_LEAST = 270;

/** The scenario files in this number of parts, with the longest files in different parts. */
function parts(): string[][] {
  const folder = join(CONFORMANCE, 'scenarios');
  const files = readdirSync(folder).map((name) => join(folder, name));
  const size = new Map(files.map((file) => [file, statSync(file).size]));
  const shares = Array.from({ length: CHILDREN }, () => ({ files: [] as string[], size: 0 }));
  for (const file of files.sort((a, b) => size.get(b)! - size.get(a)!)) {
    const share = shares.reduce((least, other) => (other.size < least.size ? other : least));
    share.files.push(file);
    share.size += size.get(file)!;
  }
  return shares.map((share) => share.files);
}

/** The output of the runner for these scenarios, which run against their own broker. */
async function play(files: readonly string[]): Promise<string> {
  await using broker = await TestBroker.start({
    nats: true,
    activityStream: true,
    cursorsPartitions: 3,
    groups: { consumerTimeout: 5_000 },
  });
  const address = ['--grpc', broker.addresses[0]!, '--nats', new URL(broker.natsUrl!).host];
  const args = [join(CONFORMANCE, 'run.mjs'), '--proto', 'proto/api.proto', ...address, ...files];
  const { out, error } = await runToEnd(process.execPath, args);
  return out + error;
}

describe.skipIf(!PRESENT)(`TestBroker (skipped without ../shared/conformance)`, () => {
  it('behaves like the recordings of the real server', { timeout: 600_000 }, async () => {
    const outputs = await Promise.all(parts().map(play));
    const failures = outputs.flatMap((output) => output.match(/^FAIL .*(\n {4}.*)*/gm) ?? []);
    expect(failures).toEqual([]);
    const tallies = outputs.map((output) => /^(\d+) passed, (\d+) failed$/m.exec(output));
    expect(outputs.filter((_, i) => tallies[i] === null)).toEqual([]);
    const passed = tallies.reduce((sum, tally) => sum + Number(tally?.[1]), 0);
    expect(passed).toBeGreaterThanOrEqual(AT_LEAST);
  });
});
