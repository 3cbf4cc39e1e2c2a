import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type Http2Session,
  type Http2Stream,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { keepForStream } from '../../../src/transport/native-session.js';
import { closing } from '../../support/closing.js';
import { usedBytes } from '../../support/memory.js';

/** A session and one of its streams, on one side of a connection. */
interface Side {
  readonly session: Http2Session;
  readonly stream: Http2Stream;
}

/** The native part of an object: Node removes it from its owner as soon as the owner is destroyed. */
function handleOf(owner: object): object {
  const key = Object.getOwnPropertySymbols(owner).find(({ description }) => description === 'kHandle');
  return Reflect.get(owner, key!) as object;
}

async function openStream(side: 'client' | 'server'): Promise<Side> {
  const server = closing(createServer());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session: ClientHttp2Session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  session.on('error', () => {});
  const opened = once(server, 'stream') as Promise<[ServerHttp2Stream]>;
  const stream: ClientHttp2Stream = session.request({ ':path': '/x/y', ':method': 'POST' }, { endStream: false });
  stream.on('error', () => {});
  const [served] = await opened;
  served.on('error', () => {});
  return side === 'client' ? { session, stream } : { session: served.session!, stream: served };
}

/** Keeps a reference to the native part of a stream, and to nothing else that could keep its session alive. */
async function leaveStream(
  side: 'client' | 'server',
  keep: boolean,
): Promise<{ stream: { handle: object | undefined }; session: WeakRef<object> }> {
  const { session, stream } = await openStream(side);
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

it.each(['client', 'server'] as const)(
  'keeps the native session only while its native stream exists, on the side of the %s',
  async (side) => {
    const [kept, free] = [await leaveStream(side, true), await leaveStream(side, false)];
    await expect.poll(() => collected(free.session)).toBe(true);
    expect(await collected(kept.session)).toBe(false);
    kept.stream.handle = undefined;
    await expect.poll(() => collected(kept.session)).toBe(true);
  },
);
