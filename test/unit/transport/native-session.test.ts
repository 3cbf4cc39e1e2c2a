import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { expect, it } from 'vitest';
import { keepForStream } from '../../../src/transport/native-session.js';
import { closing } from '../../support/closing.js';
import { usedBytes } from '../../support/memory.js';
import { echo, ScriptedPeer } from '../../support/scripted-peer.js';

/** A native half: Node takes it from its owner as soon as that is destroyed. */
function handleOf(owner: object): object {
  const key = Object.getOwnPropertySymbols(owner).find(({ description }) => description === 'kHandle');
  return Reflect.get(owner, key!) as object;
}

async function openStream(): Promise<{ session: ClientHttp2Session; stream: ClientHttp2Stream }> {
  const peer = closing(await ScriptedPeer.start(echo));
  const session = connect(`http://${peer.host}:${peer.port}`);
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  const stream = session.request({ ':path': '/x/y', ':method': 'POST' });
  stream.on('error', () => {});
  return { session, stream };
}

async function gone(session: ClientHttp2Session): Promise<void> {
  const closed = once(session, 'close');
  session.destroy();
  await closed;
}

/** Keeps the native half of a stream, and nothing else that could keep its session alive. */
async function leaveStream(
  keep: boolean,
): Promise<{ stream: { handle: object | undefined }; session: WeakRef<object> }> {
  const { session, stream } = await openStream();
  if (keep) keepForStream(session, stream);
  const left = { stream: { handle: handleOf(stream) }, session: new WeakRef(handleOf(session)) };
  await gone(session);
  return left;
}

const collected = async (ref: WeakRef<object>): Promise<boolean> => {
  usedBytes();
  await new Promise((resolve) => setImmediate(resolve));
  return ref.deref() === undefined;
};

it('keeps the native session only while its native stream exists', async () => {
  const [kept, free] = [await leaveStream(true), await leaveStream(false)];
  await expect.poll(() => collected(free.session)).toBe(true);
  expect(await collected(kept.session)).toBe(false);
  kept.stream.handle = undefined;
  await expect.poll(() => collected(kept.session)).toBe(true);
});
