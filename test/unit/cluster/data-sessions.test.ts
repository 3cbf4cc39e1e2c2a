import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DataSessions } from '../../../src/cluster/data-sessions.js';
import type { RpcFailure } from '../../../src/transport/status.js';
import { closing } from '../../support/closing.js';
import { RawPeer } from '../../support/raw-peer.js';
import { echo, ScriptedPeer } from '../../support/scripted-peer.js';
import { TlsAlert, tlsAlert } from '../../support/tls-alert.js';

const clock = vi.hoisted(() => ({ ahead: 0 }));

vi.mock('../../../src/async/clock.js', async (original) => {
  const { monotonicNow, wallNow } = await original<typeof import('../../../src/async/clock.js')>();
  return { monotonicNow: () => monotonicNow() + clock.ahead, wallNow };
});

const { signal } = new AbortController();
let log: string[] = [];
let closed: AbortController;

beforeEach(() => {
  clock.ahead = 0;
  log = [];
  closed = new AbortController();
  // No backoff is shorter than the time that a test takes.
  vi.spyOn(Math, 'random').mockReturnValue(1_000_000);
});

afterEach(() => {
  closed.abort(new Error('the client is closed'));
  vi.restoreAllMocks();
});

function sessionsTo({ host, port }: { host: string; port: number }, tls = false): DataSessions {
  const events = {
    opening: () => void log.push('opening'),
    opened: () => void log.push('opened'),
    failed: ({ connection }: RpcFailure) => void log.push(`failed ${connection}`),
    ended: ({ connection }: RpcFailure, gone: boolean) => void log.push(`ended ${connection} ${gone}`),
  };
  return closing(new DataSessions({ host, port, tls }, closed.signal, events));
}

const refusingPeer = async () =>
  closing(
    await RawPeer.start({
      onConnection: (connection) => {
        connection.write(tlsAlert(TlsAlert.CERTIFICATE_EXPIRED));
        connection.end();
      },
    }),
  );
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error as RpcFailure,
  );

describe('DataSessions', () => {
  it('shares one session, and opens another one when that has ended', async () => {
    const peer = closing(await ScriptedPeer.start(echo));
    const sessions = sessionsTo(peer);
    const [first, same] = await Promise.all([sessions.open(signal), sessions.open(signal)]);
    expect(same).toBe(first);
    expect(await sessions.open(signal)).toBe(first);
    await first.close();
    expect(sessions.empty).toBe(true);
    expect(await sessions.open(signal)).not.toBe(first);
    expect(log).toEqual(['opening', 'opened', 'ended closed true', 'opening', 'opened']);
  });

  it('rejects at once while a refusal for good has its backoff, also when the broker answers calls', async () => {
    const peer = await refusingPeer();
    const sessions = sessionsTo(peer, true);
    const first = await failure(sessions.open(signal));
    expect(first?.connection).toBe('tls-rejected');
    sessions.hurry();
    expect(await failure(sessions.open(signal))).toBe(first);
    expect(await failure(sessions.open(signal))).toBe(first);
    expect(peer.connections).toHaveLength(1);
  });

  it('tries again after that backoff', async () => {
    const peer = await refusingPeer();
    const sessions = sessionsTo(peer, true);
    const first = await failure(sessions.open(signal));
    clock.ahead += 1e12;
    const second = await failure(sessions.open(signal));
    expect(second?.connection).toBe('tls-rejected');
    expect(second).not.toBe(first);
    expect(peer.connections).toHaveLength(2);
  });

  it('waits for the backoff of a lost connection, and no longer when the broker answers', async () => {
    let up = false;
    const peer = closing(
      await RawPeer.start({ onConnection: (connection) => (up ? connection.settings() : connection.end()) }),
    );
    const sessions = sessionsTo(peer);
    expect((await failure(sessions.open(signal)))?.connection).toBe('lost');
    const before = peer.connections.length;
    const opening = sessions.open(signal);
    up = true;
    expect(peer.connections).toHaveLength(before);
    sessions.hurry();
    expect((await opening).state).toBe('open');
  });

  it('ends the wait when the client closes, and for a caller whose signal is aborted', async () => {
    const peer = closing(await RawPeer.start({ onConnection: (connection) => connection.end() }));
    const sessions = sessionsTo(peer);
    await failure(sessions.open(signal));
    const caller = new AbortController();
    const aborted = sessions.open(caller.signal);
    const patient = sessions.open(signal);
    caller.abort('enough');
    await expect(aborted).rejects.toBe('enough');
    closed.abort(new Error('the client is closed'));
    await expect(patient).rejects.toThrow('the client is closed');
  });
});
