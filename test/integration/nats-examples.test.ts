import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROCESS_LIMIT_MS, ROOT } from '../support/child-process.js';
import { natsServerPath, type RunningServer, startNatsServer } from './nats-servers.js';

const examples = readdirSync(`${ROOT}/examples`).filter((name) => /^nats-.*\.ts$/.test(name));
const run = promisify(execFile);

describe.skipIf(natsServerPath === null)('the NATS examples', () => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.stop());

  it.each(examples)('%s runs with a broker that is attached to a real nats-server', async (name) => {
    const args = ['--import', 'tsx', `examples/${name}`, server.url];
    const { stdout, stderr } = await run(process.execPath, args, { cwd: ROOT, timeout: PROCESS_LIMIT_MS });
    expect(stderr).toBe('');
    expect(stdout.trim().split('\n').length).toBeGreaterThan(1);
  });
});
