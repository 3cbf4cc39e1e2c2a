import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { clearTimeout, setTimeout } from '../async/timers.js';
import { addressFault, authorityOf } from './authority.js';
import { closeMeansRefusal, noteAccepted } from './client-certificate.js';
import { connectionFailure, connectionReason } from './connection-failure.js';

import { type ConnectionReason, RpcFailure } from './status.js';

/** A stream's receive window: what one paused stream may hold in memory. */
export const STREAM_WINDOW = 1024 * 1024;
/** The session's window. Node gives it back as data arrives, so that a paused stream never holds up its neighbours. */
const SESSION_WINDOW = 8 * 1024 * 1024;

/** Where to connect to. */
export interface DialTarget {
  readonly host: string;
  readonly port: number;
  /** Options for `tls.connect`; undefined is plaintext. */
  readonly tls: ConnectionOptions | undefined;
  /** The options that `tls` was made of: peers accept or refuse their client certificate. */
  readonly identity?: object | undefined;
  /** Milliseconds for TCP, TLS and SETTINGS together. */
  readonly timeout: number;
}

/** A session whose peer has sent its SETTINGS, and its socket. */
export interface Dialled {
  readonly session: ClientHttp2Session;
  readonly socket: Socket;
}

/**
 * Connects and waits for the peer's SETTINGS. Rejects with RpcFailure, whose `connection` says why; a peer that takes the
 * connection and stays silent fails after `timeout`.
 */
export async function dial(target: DialTarget, signal?: AbortSignal): Promise<Dialled> {
  const fault = addressFault(target.host, target.port);
  if (fault !== null) throw failure(target, 'unreachable', undefined, fault);
  const socket = openSocket(target);
  try {
    return await handshake(target, socket, signal);
  } catch (error) {
    socket.destroy();
    await socketClosed(socket);
    if (error instanceof RpcFailure && (await mayNeedTls(target, error))) {
      throw failure(target, 'tls-required', error.cause);
    }
    throw error;
  }
}

/** Time that a peer has to take the last bytes of a connection. */
const CLOSE_GRACE_MS = 250;

/** Resolves when a socket that was destroyed, or ends, is closed. */
export function socketClosed(socket: Socket): Promise<void> {
  if (socket.closed) return Promise.resolve();
  return new Promise((resolve) => socket.once('close', () => resolve())); // one event settles it
}

/** Closes a socket once the last bytes (GOAWAY) are out, and without them when the peer does not take them. */
export function letGo(socket: Socket): void {
  if (socket.closed) return;
  const timer = setTimeout(() => socket.destroy(), CLOSE_GRACE_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.destroySoon();
}

function openSocket(target: DialTarget): Socket {
  const { host, port, tls } = target;
  const address = { host, port, noDelay: true, autoSelectFamily: true };
  if (tls === undefined) return connectTcp(address);
  try {
    return connectTls({ ...address, ...tls });
  } catch (cause) {
    throw failure(target, 'tls-config', cause);
  }
}

function failure(target: DialTarget, reason: ConnectionReason, cause?: unknown, note?: string): RpcFailure {
  const address = authorityOf(target.host, target.port);
  return connectionFailure(address, reason, { sent: false, cause, ...(note === undefined ? {} : { note }) });
}

/** Follows one connection through its steps; the first of success, error, close, timeout and abort decides. */
function handshake(target: DialTarget, socket: Socket, signal: AbortSignal | undefined): Promise<Dialled> {
  // The steps are closures over one state, and `settle` alone settles the promise.
  return new Promise((resolve, reject) => {
    let session: ClientHttp2Session | undefined;
    let secured = false;
    let refusal = false;
    let settled = false;
    const settle = (finish: () => void) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      finish();
    };
    const fail = (reason: ConnectionReason, error?: unknown, note?: string) =>
      settle(() => {
        session?.destroy();
        reject(failure(target, reason, error, note));
      });
    const onAbort = () => fail('closed', signal?.reason);
    const onError = (error: unknown) => {
      const reason = connectionReason(error);
      fail(reason === 'lost' && refusal ? 'tls-rejected' : reason, error);
    };
    const onClose = () =>
      fail(refusal ? 'tls-rejected' : 'lost', undefined, 'it closed the connection before its SETTINGS');
    const timer = setTimeout(() => fail('timeout', undefined, waitedFor(target, socket, secured)), target.timeout);
    // The listeners for errors stay: without one, a later error would end the process.
    socket.on('error', onError);
    socket.once('close', onClose);
    // A peer of TLS 1.2 refuses the certificate before the handshake is complete. Between its request for
    // one and the end, Node emits 'keylog' only: the request was read by then.
    if (target.tls !== undefined)
      socket.once('keylog', () => {
        refusal = closeMeansRefusal(socket as TLSSocket, target.identity);
      });
    socket.once(target.tls === undefined ? 'connect' : 'secureConnect', () => {
      secured = target.tls !== undefined;
      if (secured && (socket as TLSSocket).alpnProtocol !== 'h2') {
        fail('protocol', undefined, 'its TLS does not offer HTTP/2 (no h2 in ALPN)');
        return;
      }
      refusal = secured && closeMeansRefusal(socket as TLSSocket, target.identity);
      session = startHttp2(target, socket);
      session.on('error', onError);
      session.once('close', onClose);
      session.once('remoteSettings', () => {
        noteAccepted(target.identity);
        settle(() => resolve({ session: session!, socket }));
      });
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
  });
}

function waitedFor({ tls, timeout }: DialTarget, socket: Socket, secured: boolean): string {
  if (socket.connecting) return `no TCP connection within ${timeout} ms`;
  if (tls !== undefined && !secured) return `no TLS handshake within ${timeout} ms`;
  return `connected, but no HTTP/2 SETTINGS within ${timeout} ms`;
}

function startHttp2({ host, port, tls }: DialTarget, socket: Socket): ClientHttp2Session {
  const scheme = tls === undefined ? 'http' : 'https';
  const session = connectHttp2(`${scheme}://${authorityOf(host, port)}`, {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
    // Node counts data that waits for the peer's window against it; this package has its own bounds.
    maxSessionMemory: 1024,
  });
  session.once('connect', () => session.setLocalWindowSize(SESSION_WINDOW));
  return session;
}

/** Whether the peer speaks TLS, asked after it cut a plaintext client off. */
async function mayNeedTls(target: DialTarget, error: RpcFailure): Promise<boolean> {
  if (target.tls !== undefined) return false;
  if (error.connection !== 'lost' && error.connection !== 'protocol') return false;
  return await speaksTls(target);
}

function speaksTls({ host, port, timeout }: DialTarget): Promise<boolean> {
  // The events of one socket settle it, and nothing else can.
  return new Promise((resolve) => {
    const socket = connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    const answer = (spoken: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(spoken);
    };
    const timer = setTimeout(answer, Math.min(timeout, 2_000), false);
    socket.once('secureConnect', () => answer(true));
    socket.on('error', (error) => answer(connectionReason(error) === 'tls-rejected'));
    socket.once('close', () => answer(false));
  });
}
