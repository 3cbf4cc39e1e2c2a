import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT, runNode } from '../support/child-process.js';
import { natsServerPath, type RunningServer, startNatsServer } from './nats-servers.js';

const examples = readdirSync(`${ROOT}/examples`).filter((name) => /^nats-.*\.ts$/.test(name));

describe.skipIf(natsServerPath === null)('the NATS examples', () => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.stop());

  it.each(examples)('%s runs with a broker that is connected to a real nats-server', async (name) => {
    const { code, out, error } = await runNode(['--import', 'tsx', `examples/${name}`, server.url]);
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expect(out.trim().split('\n').length).toBeGreaterThan(1);
  });
});
