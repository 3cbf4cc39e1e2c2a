import { frame } from 'liftbridge-client/protocol';
import { expect, test } from 'vitest';
import { Faults } from '../../src/faults.js';
import { connectRaw, echoPublishes, openRaw, startServer } from './fixture.js';

/** Handles that keep the process alive, without those of the test runner. */
async function resources(): Promise<string[]> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  return process
    .getActiveResourcesInfo()
    .filter((name) => name !== 'Immediate')
    .sort();
}

test.each([true, false])('a closed GrpcServer leaves no handles open (graceful: %s)', async (graceful) => {
  const before = await resources();
  const faults = new Faults();
  const server = await startServer({ PublishAsync: echoPublishes }, { faults });
  const session = await connectRaw(server.address);
  session.on('error', () => {});
  const stream = openRaw(session, '/proto.API/PublishAsync', { 'grpc-timeout': '1H' });
  stream.on('error', () => {});
  stream.resume();
  stream.write(frame(Buffer.alloc(0)));
  await new Promise((resolve) => stream.once('response', resolve));
  faults.silence(60_000)();
  await server.close({ graceful });
  session.destroy();
  const left = async () => {
    const open = await resources();
    for (const name of before) if (open.includes(name)) open.splice(open.indexOf(name), 1);
    return open;
  };
  await expect.poll(left).toEqual([]);
});
