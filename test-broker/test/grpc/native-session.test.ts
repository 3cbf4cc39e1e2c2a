import { once } from 'node:events';
import { connect, createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { usedBytes } from '../../../test/support/memory.js';
import { keepForStream } from '../../src/grpc/native-session.js';

/** The native part of an object: Node removes it from its owner as soon as the owner is destroyed. */
function handleOf(owner: object): object {
  const key = Object.getOwnPropertySymbols(owner).find(({ description }) => description === 'kHandle');
  return Reflect.get(owner, key!) as object;
}

async function openStream(): Promise<{ session: ServerHttp2Session; stream: ServerHttp2Stream }> {
  const server = createServer();
  onTestFinished(() => void server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on('error', () => {});
  client.request({ ':path': '/x/y', ':method': 'POST' }, { endStream: false }).on('error', () => {});
  const [stream] = (await once(server, 'stream')) as [ServerHttp2Stream];
  stream.on('error', () => {});
  return { session: stream.session as ServerHttp2Session, stream };
}

/** Keeps a reference to the native part of a stream, and to nothing else that could keep its session alive. */
async function leaveStream(
  keep: boolean,
): Promise<{ stream: { handle: object | undefined }; session: WeakRef<object> }> {
  const { session, stream } = await openStream();
  if (keep) keepForStream(session, stream);
  const left = { stream: { handle: handleOf(stream) }, session: new WeakRef(handleOf(session)) };
  const closed = once(session, 'close');
  session.destroy();
  await closed;
  return left;
}

const collected = async (ref: WeakRef<object>): Promise<boolean> => {
  usedBytes();
  await new Promise((resolve) => setImmediate(resolve));
  return ref.deref() === undefined;
};

it('keeps the native session exactly as long as the native stream exists', async () => {
  const [kept, free] = [await leaveStream(true), await leaveStream(false)];
  await expect.poll(() => collected(free.session)).toBe(true);
  expect(await collected(kept.session)).toBe(false);
  kept.stream.handle = undefined;
  await expect.poll(() => collected(kept.session)).toBe(true);
});
