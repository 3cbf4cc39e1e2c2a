import { once } from 'node:events';
import { createServer } from 'node:net';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it } from 'vitest';
import { STREAM_WINDOW } from '../../../src/transport/dial.js';
import { DataSession, type DataSessionOptions } from '../../../src/transport/duplex.js';
import { frame } from '../../../src/transport/frames.js';
import { RpcFailure } from '../../../src/transport/status.js';
import { deferred } from '../../support/deferred.js';
import { FrameType, type RawConnection, RawPeer } from '../../support/raw-peer.js';
import { type CallScript, echo, GRPC_HEADERS, ScriptedPeer } from '../../support/scripted-peer.js';

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

function opened<T extends { close(): Promise<void> }>(one: T): T {
  open.push(one);
  return one;
}

const peerWith = async (script: CallScript) => opened(await ScriptedPeer.start(script));
const rawPeer = async (script: Parameters<typeof RawPeer.start>[0]) => opened(await RawPeer.start(script));

function sessionTo(peer: { host: string; port: number }, options: Partial<DataSessionOptions> = {}): DataSession {
  return opened(new DataSession({ host: peer.host, port: peer.port, ...options }));
}

async function failureOf(promise: Promise<unknown>): Promise<RpcFailure> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RpcFailure);
  return error as RpcFailure;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

describe('DataSession.open on a session that is not open', () => {
  it('ends the stream as not processed, and does not ask the application for metadata', async () => {
    let asked = 0;
    const metadata = (): Record<string, string> => {
      asked++;
      return {};
    };
    const session = sessionTo(await peerWith(echo), { callMetadata: metadata });
    const early = session.open('/x/Early');
    expect(await early.ended).toMatchObject({ processed: false, connection: 'lost' });
    await session.connect();
    await session.close();
    const late = session.open('/x/Late');
    expect(await late.ended).toMatchObject({ processed: false, connection: 'closed' });
    expect(asked).toBe(0);
  });
});

describe('DataSession.connect', () => {
  it('connects once for all callers', async () => {
    const peer = await peerWith(echo);
    const session = sessionTo(peer);
    expect(session.state).toBe('idle');
    const first = session.connect();
    expect(session.state).toBe('connecting');
    expect(session.connect()).toBe(first);
    await first;
    expect(session.state).toBe('open');
    expect(peer.sockets.size).toBe(1);
  });

  it('rejects as refused when no process listens', async () => {
    const session = sessionTo({ host: '127.0.0.1', port: await freePort() });
    const failure = await failureOf(session.connect());
    expect(failure).toMatchObject({ code: 14, connection: 'refused', sent: false });
    expect(session.state).toBe('closed');
    expect(session.failure).toBe(failure);
  });

  it('rejects as unreachable when the name does not resolve', async () => {
    const session = sessionTo({ host: 'no-such-host.invalid', port: 9292 });
    expect((await failureOf(session.connect())).connection).toBe('unreachable');
  });

  it.each([
    ['', 9292, 'it has no host'],
    ['fe80::1%lo', 9292, 'it has a zone id, which HTTP/2 cannot carry'],
    ['127.0.0.1', 0, 'its port is not from 1 to 65535 but 0'],
    ['127.0.0.1', 70_000, 'its port is not from 1 to 65535 but 70000'],
    ['a b', 9292, 'its host makes no valid URL'],
  ])('rejects as unreachable for host %o and port %i, before it opens a socket', async (host, port, why) => {
    const failure = await failureOf(sessionTo({ host, port }).connect());
    expect(failure).toMatchObject({ code: 14, connection: 'unreachable', sent: false });
    expect(failure.details).toContain(why);
  });

  it('rejects as timeout when the peer takes the connection and stays silent, and closes the socket', async () => {
    const peer = await rawPeer({});
    const failure = await failureOf(sessionTo(peer, { connectTimeout: 50 }).connect());
    expect(failure.connection).toBe('timeout');
    expect(failure.details).toContain('no HTTP/2 SETTINGS within 50 ms');
    await expect.poll(() => peer.open).toBe(0);
  });

  it('rejects as protocol when the peer speaks HTTP/1.1', async () => {
    const peer = await rawPeer({
      onConnection: (connection) => connection.write('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'),
    });
    expect((await failureOf(sessionTo(peer).connect())).connection).toBe('protocol');
  });

  it.each([
    ['closes', 'end'],
    ['resets', 'resetAndDestroy'],
  ] as const)('rejects as lost when the peer %s the connection at once', async (_, how) => {
    const peer = await rawPeer({ onConnection: (connection) => connection[how]() });
    expect((await failureOf(sessionTo(peer).connect())).connection).toBe('lost');
  });

  it('rejects as closed when the session is closed meanwhile', async () => {
    const session = sessionTo(await rawPeer({}));
    const connecting = failureOf(session.connect());
    await session.close();
    expect((await connecting).connection).toBe('closed');
    expect((await failureOf(session.connect())).connection).toBe('closed');
  });
});

describe('DataSession.open', () => {
  it('ends a stream as not processed when the session is not open', async () => {
    const session = sessionTo(await peerWith(echo));
    expect(await session.open('/x').ended).toMatchObject({ code: 14, processed: false, transport: true });
  });

  it('holds messages back until call metadata is there', async () => {
    const peer = await peerWith(echo);
    const token = deferred<Record<string, string>>();
    const session = sessionTo(peer, { callMetadata: () => token.promise });
    await session.connect();
    const stream = session.open('/x');
    const messages: string[] = [];
    stream.onFrames((source, start, end) => messages.push(source.toString('utf8', start, end)));
    stream.send(Buffer.from('one'));
    stream.write((writer) => writer.raw(Buffer.from('two')));
    stream.halfClose();
    token.resolve({ token: 'late' });
    expect((await stream.ended).code).toBe(0);
    expect(peer.calls[0]?.token).toBe('late');
    expect(messages).toEqual(['one', 'two']);
  });

  it('awaits a plain thenable and a promise of another realm', async () => {
    const peer = await peerWith(echo);
    // biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about
    const thenable = { then: (resolve: (made: object) => void) => resolve({ token: 'plain' }) };
    for (const made of [thenable, runInNewContext("Promise.resolve({ token: 'foreign' })")]) {
      const session = sessionTo(peer, { callMetadata: () => made as Promise<Record<string, string>> });
      await session.connect();
      const stream = session.open('/x');
      stream.halfClose();
      await stream.ended;
    }
    expect(peer.calls.map(({ token }) => token)).toEqual(['plain', 'foreign']);
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('no token'))],
    [
      'throws',
      () => {
        throw new Error('no token');
      },
    ],
    ['answers a reserved name', () => ({ 'grpc-timeout': '1S' })],
    ['answers a name that HTTP cannot carry', () => ({ 'a b': '1' })],
    ['answers text that HTTP cannot carry', () => ({ token: 'ü' })],
  ])('ends a stream as UNAUTHENTICATED and not processed when the metadata function %s', async (_, callMetadata) => {
    const peer = await peerWith(echo);
    const session = sessionTo(peer, { callMetadata });
    await session.connect();
    expect(await session.open('/x').ended).toMatchObject({ code: 16, processed: false });
    expect(peer.calls).toEqual([]);
  });
});

describe('a lost connection', () => {
  it.each([
    ['closes', 'end'],
    ['destroys', 'destroy'],
    ['resets', 'resetAndDestroy'],
  ] as const)('ends every stream as UNAVAILABLE when the peer %s the connection', async (_, how) => {
    const peer = await rawPeer({
      onConnection: (connection) => connection.settings(),
      onFrame: ({ type, streamId }, connection) => {
        if (type === FrameType.HEADERS && streamId === 3) connection[how]();
      },
    });
    const session = sessionTo(peer);
    await session.connect();
    const told = deferred<RpcFailure>();
    session.onClose(told.resolve);
    const ends = await Promise.all([session.open('/x').ended, session.open('/x').ended]);
    for (const end of ends)
      expect(end).toMatchObject({ code: 14, transport: true, processed: true, connection: 'lost' });
    expect((await told.promise).connection).toBe('lost');
    expect(session.state).toBe('closed');
  });

  it('ends the stream when it breaks inside a message', async () => {
    const peer = await rawPeer({
      onConnection: (connection) => connection.settings(),
      onFrame: ({ type, streamId }, connection) => {
        if (type !== FrameType.HEADERS) return;
        connection.headers(streamId, { ':status': '200', 'content-type': 'application/grpc' });
        connection.data(streamId, Buffer.concat([frame(Buffer.from('whole')), Buffer.from([0, 0, 0, 0, 9, 1])]));
        connection.end();
      },
    });
    const session = sessionTo(peer);
    await session.connect();
    const stream = session.open('/x');
    const messages: string[] = [];
    stream.onFrames((source, start, end) => messages.push(source.toString('utf8', start, end)));
    expect(await stream.ended).toMatchObject({ code: 14, connection: 'lost', processed: true });
    expect(messages).toEqual(['whole']);
  });

  it('tells a listener that comes too late as well', async () => {
    const session = sessionTo(await peerWith(echo));
    await session.connect();
    await session.close();
    const told = deferred<RpcFailure>();
    session.onClose(told.resolve);
    expect((await told.promise).connection).toBe('closed');
  });
});

describe('GOAWAY', () => {
  it('lets running streams finish and takes no new ones', async () => {
    let finish: (() => void) | undefined;
    const peer = await peerWith((stream) => {
      stream.respond(GRPC_HEADERS, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      finish = () => stream.end(frame(Buffer.from('late')));
      stream.session?.goaway(0, stream.id);
    });
    const session = sessionTo(peer);
    await session.connect();
    const told = deferred<RpcFailure>();
    session.onClose(told.resolve);
    const stream = session.open('/x');
    const messages: string[] = [];
    stream.onFrames((source, start, end) => messages.push(source.toString('utf8', start, end)));
    expect((await told.promise).details).toContain('GOAWAY NO_ERROR');
    expect(session.state).toBe('draining');
    expect(await session.open('/x').ended).toMatchObject({ code: 14, processed: false });
    finish?.();
    expect(await stream.ended).toMatchObject({ code: 0, transport: false });
    expect(messages).toEqual(['late']);
    await expect.poll(() => session.state).toBe('closed');
  });

  it('ends streams above the last id as not processed', async () => {
    const peer = await rawPeer({
      onConnection: (connection) => connection.settings(),
      onFrame: ({ type, streamId }, connection) => {
        if (type === FrameType.HEADERS && streamId === 3) connection.goaway(1, 0);
      },
    });
    const session = sessionTo(peer);
    await session.connect();
    const first = session.open('/x');
    const second = session.open('/x');
    expect(await second.ended).toMatchObject({ code: 14, processed: false });
    expect(session.state).toBe('draining');
    peer.connections[0]?.headers(1, { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '0' }, true);
    expect(await first.ended).toMatchObject({ code: 0 });
  });

  it('with an error ends running streams as UNAVAILABLE, with its text', async () => {
    const peer = await rawPeer({
      onConnection: (connection) => connection.settings(),
      onFrame: ({ type, streamId }, connection) => {
        if (type === FrameType.HEADERS && streamId === 3) connection.goaway(1, 11, 'too_many_pings');
      },
    });
    const session = sessionTo(peer);
    await session.connect();
    const [first, second] = await Promise.all([session.open('/x').ended, session.open('/x').ended]);
    expect(first).toMatchObject({ code: 14, processed: true, connection: 'lost' });
    expect(first.message).toContain('ENHANCE_YOUR_CALM: too_many_pings');
    expect(second).toMatchObject({ code: 14, processed: false });
    await expect.poll(() => session.state).toBe('closed');
  });
});

describe('keepalive', () => {
  const fast = { keepaliveTime: 40, keepaliveTimeout: 40 };

  it('notices a peer that goes silent', async () => {
    const peer = await rawPeer({ onConnection: (connection) => connection.settings() });
    const warned: string[] = [];
    const logger = { debug: () => {}, warn: (_: object, message: string) => warned.push(message) };
    const session = sessionTo(peer, { ...fast, logger });
    await session.connect();
    expect(await session.open('/x').ended).toMatchObject({ code: 14, connection: 'lost', processed: true });
    expect(session.failure?.details).toContain('nothing received for 80 ms');
    expect(warned).toEqual(['broker went silent, connection given up']);
    await expect.poll(() => peer.open).toBe(0);
  });

  it('asks with a call first and with one PING after that', async () => {
    const peer = await rawPeer({ onConnection: (connection) => connection.settings() });
    const session = sessionTo(peer, fast);
    await session.connect();
    const gone = deferred<RpcFailure>();
    session.onClose(gone.resolve);
    await gone.promise;
    const asked = peer.connections[0]?.frames.map(({ type }) => type) ?? [];
    expect(asked.filter((type) => type === FrameType.HEADERS)).toHaveLength(1);
    expect(asked.filter((type) => type === FrameType.PING)).toHaveLength(1);
    expect(asked.indexOf(FrameType.HEADERS)).toBeLessThan(asked.indexOf(FrameType.PING));
  });

  it('never pings a peer that answers the call, whatever the answer', async () => {
    const asked = deferred<void>();
    let calls = 0;
    const peer = await rawPeer({
      onConnection: (connection) => connection.settings(),
      onFrame: ({ type, streamId }, connection) => {
        if (type !== FrameType.HEADERS || streamId === 1) return;
        const unimplemented = { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '12' };
        connection.headers(streamId, unimplemented, true);
        if (++calls === 2) asked.resolve();
      },
    });
    const session = sessionTo(peer, { keepaliveTime: 10, keepaliveTimeout: 2_000 });
    await session.connect();
    session.open('/x');
    await asked.promise;
    expect(session.state).toBe('open');
    expect(peer.connections[0]?.frames.filter(({ type }) => type === FrameType.PING)).toEqual([]);
  });

  it('counts an answered PING as alive when calls stay unanswered', async () => {
    const pinged = deferred<void>();
    let pings = 0;
    const peer = await rawPeer({
      onConnection: (connection) => connection.settings(),
      onFrame: ({ type, flags, payload }, connection) => {
        if (type !== FrameType.PING || flags !== 0) return;
        connection.frame(FrameType.PING, 1, 0, payload);
        if (++pings === 2) pinged.resolve();
      },
    });
    const session = sessionTo(peer, { keepaliveTime: 20, keepaliveTimeout: 1_000 });
    await session.connect();
    await pinged.promise;
    expect(session.state).toBe('open');
  });
});

describe('checkLiveness', () => {
  /** Says SETTINGS, and answers calls as `reply` says; `calls` are the streams of all calls so far. */
  async function callable(reply: (streamId: number, connection: RawConnection) => void) {
    const calls: number[] = [];
    const peer = await rawPeer({
      onConnection: (connection) => connection.settings(),
      onFrame: ({ type, streamId }, connection) => {
        if (type !== FrameType.HEADERS) return;
        calls.push(streamId);
        reply(streamId, connection);
      },
    });
    const session = sessionTo(peer);
    await session.connect();
    return { peer, session, calls };
  }
  const unimplemented = (streamId: number, connection: RawConnection) =>
    connection.headers(streamId, { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '12' }, true);

  it('resolves true when the peer answers, whatever it says, without a PING', async () => {
    const { peer, session } = await callable(unimplemented);
    expect(await session.checkLiveness()).toBe(true);
    expect(session.state).toBe('open');
    expect(peer.connections[0]?.frames.filter(({ type }) => type === FrameType.PING)).toEqual([]);
  });

  it('closes the session as lost when the peer sends nothing', async () => {
    const { peer, session } = await callable(() => {});
    const stream = session.open('/x');
    expect(await session.checkLiveness()).toBe(false);
    expect(await stream.ended).toMatchObject({ code: 14, connection: 'lost', processed: true });
    expect(session.failure?.details).toContain('nothing received for 750 ms');
    expect(session.state).toBe('closed');
    await expect.poll(() => peer.open).toBe(0);
  });

  it('holds new streams back until the peer has answered', async () => {
    const asked = deferred<() => void>();
    const { session, calls } = await callable((streamId, connection) => {
      if (streamId === 1) asked.resolve(() => unimplemented(streamId, connection));
      else unimplemented(streamId, connection);
    });
    const check = session.checkLiveness();
    expect(session.stale).toBe(true);
    const stream = session.open('/x');
    const answer = await asked.promise;
    expect(calls).toEqual([1]);
    answer();
    expect(await check).toBe(true);
    expect(await stream.ended).toMatchObject({ code: 12, processed: true });
    expect(session.stale).toBe(false);
  });

  it('ends the streams that it held back as not processed when the peer has vanished', async () => {
    const { session, calls } = await callable(() => {});
    const check = session.checkLiveness();
    const stream = session.open('/x');
    expect(await check).toBe(false);
    expect(await stream.ended).toMatchObject({ code: 14, connection: 'lost', processed: false });
    expect(calls).toEqual([1]);
  });

  it('ends without a verdict when the session is closed meanwhile', async () => {
    const { session } = await callable(() => {});
    const check = session.checkLiveness();
    await session.close();
    expect(await check).toBe(false);
    expect(session.failure?.connection).toBe('closed');
  });

  it('resolves false on a session that is not connected', async () => {
    expect(await sessionTo(await peerWith(echo)).checkLiveness()).toBe(false);
  });
});

describe('flow control', () => {
  const PIECE = 64 * 1024;

  /** Writes as much as the client lets it, until the client stops it. */
  function flood(written: Map<number, number>): CallScript {
    return (stream) => {
      stream.respond(GRPC_HEADERS);
      const id = stream.id ?? 0;
      const next = () =>
        stream.write(frame(Buffer.alloc(PIECE)), (error) => {
          if (error || stream.destroyed) return;
          written.set(id, (written.get(id) ?? 0) + PIECE);
          next();
        });
      next();
    };
  }

  async function settledValue(read: () => number): Promise<number> {
    let last = -1;
    await expect
      .poll(
        () => {
          const now = read();
          const still = now === last && now > 0;
          last = now;
          return still;
        },
        { interval: 100 },
      )
      .toBe(true);
    return last;
  }

  it('stops the sender when the reader pauses, at about one window', async () => {
    const written = new Map<number, number>();
    const session = sessionTo(await peerWith(flood(written)));
    await session.connect();
    const stream = session.open('/x');
    let received = 0;
    stream.onFrames((_, start, end) => {
      received += end - start;
      stream.pause();
    });
    const total = await settledValue(() => written.get(1) ?? 0);
    expect(received).toBeGreaterThan(0);
    expect(total).toBeLessThanOrEqual(received + STREAM_WINDOW + 4 * PIECE);
    const before = received;
    stream.resume();
    await expect.poll(() => received).toBeGreaterThan(before);
  });

  it('does not let paused streams hold up their neighbours', async () => {
    const written = new Map<number, number>();
    const session = sessionTo(await peerWith(flood(written)));
    await session.connect();
    const paused = Array.from({ length: 12 }, () => session.open('/x'));
    for (const stream of paused) stream.onFrames(() => stream.pause());
    await settledValue(() => [...written.values()].reduce((sum, bytes) => sum + bytes, 0));
    const lively = session.open('/x');
    const enough = deferred<void>();
    let received = 0;
    lively.onFrames((_, start, end) => {
      received += end - start;
      if (received > 4 * STREAM_WINDOW) enough.resolve();
    });
    await enough.promise;
    expect(received).toBeGreaterThan(4 * STREAM_WINDOW);
  });

  it('counts what the peer does not take as pending, and drained() waits for it', async () => {
    const calls: (() => void)[] = [];
    const peer = await peerWith((stream) => {
      stream.respond(GRPC_HEADERS);
      calls.push(() => stream.resume());
    });
    const session = sessionTo(peer);
    await session.connect();
    const stream = session.open('/x');
    for (let i = 0; i < 32; i++) stream.write((writer) => writer.raw(Buffer.alloc(PIECE)));
    await expect.poll(() => calls.length).toBe(1);
    expect(await settledValue(() => stream.pendingBytes)).toBeGreaterThan(16 * PIECE);
    let drained = false;
    const draining = stream.drained(PIECE).then(() => {
      drained = true;
    });
    expect(drained).toBe(false);
    calls[0]?.();
    await draining;
    expect(stream.pendingBytes).toBeLessThanOrEqual(PIECE);
    await stream.drained();
    expect(stream.pendingBytes).toBe(0);
  });

  it('drained() resolves when the stream ends with bytes still pending', async () => {
    const session = sessionTo(await peerWith((stream) => stream.respond(GRPC_HEADERS)));
    await session.connect();
    const stream = session.open('/x');
    for (let i = 0; i < 32; i++) stream.write((writer) => writer.raw(Buffer.alloc(PIECE)));
    const draining = stream.drained();
    stream.cancel('enough');
    await draining;
    expect(await stream.ended).toMatchObject({ code: 1, message: 'enough' });
  });
});

describe('DataSession.close', () => {
  it('ends streams as UNAVAILABLE, closes the socket on both sides and leaves no handle', async () => {
    const peer = await peerWith(echo);
    const sockets = () => process.getActiveResourcesInfo().filter((name) => /^(TCPSocket|Timeout)/.test(name)).length;
    const before = sockets();
    const session = sessionTo(peer);
    await session.connect();
    const stream = session.open('/x', { timeout: 60_000, signal: new AbortController().signal });
    await Promise.all([session.close(), session.close()]);
    expect(await stream.ended).toMatchObject({ code: 14, connection: 'closed' });
    await expect.poll(() => peer.sockets.size).toBe(0);
    await expect.poll(sockets).toBeLessThanOrEqual(before);
  });

  it('does not wait for a peer that has stopped reading', async () => {
    const session = sessionTo(await rawPeer({ onConnection: (connection) => connection.stopReading() }));
    await session.connect();
    const stream = session.open('/x');
    for (let i = 0; i < 64; i++) stream.send(Buffer.alloc(1 << 20));
    await expect.poll(() => stream.pendingBytes).toBeLessThan(64 << 20);
    await session.close();
    expect(await stream.ended).toMatchObject({ code: 14, connection: 'closed' });
  });

  it('gives up a peer that has stopped reading and fallen silent, with bytes still to send', async () => {
    const peer = await rawPeer({ onConnection: (connection) => connection.stopReading() });
    const session = sessionTo(peer, { keepaliveTime: 40, keepaliveTimeout: 40 });
    await session.connect();
    const stream = session.open('/x');
    for (let i = 0; i < 64; i++) stream.send(Buffer.alloc(1 << 20));
    expect(await stream.ended).toMatchObject({ code: 14, connection: 'lost' });
    await session.close();
    expect(session.state).toBe('closed');
  });

  it('takes its listeners off the signals of streams', async () => {
    const session = sessionTo(await peerWith((stream) => stream.end()));
    await session.connect();
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const stream = session.open('/x', { signal });
    expect(listeners).toBe(1);
    stream.cancel();
    await stream.ended;
    expect(listeners).toBe(0);
  });
});
