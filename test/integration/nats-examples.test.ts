import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { natsServerPath, type RunningServer, startNatsServer } from './nats-servers.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const examples = readdirSync(`${root}/examples`).filter((name) => /^nats-.*\.ts$/.test(name));
const run = promisify(execFile);

describe.skipIf(natsServerPath === null)('the NATS examples', () => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.stop());

  it.each(examples)(
    '%s runs with a broker that is attached to a real nats-server',
    { timeout: 60_000 },
    async (name) => {
      const args = ['--import', 'tsx', `examples/${name}`, server.url];
      const { stdout, stderr } = await run(process.execPath, args, { cwd: root, timeout: 50_000 });
      expect(stderr).toBe('');
      expect(stdout.trim().split('\n').length).toBeGreaterThan(1);
    },
  );
});
