import { performServerHandshake, type ServerHttp2Session, type ServerOptions } from 'node:http2';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { CallConnection } from './call-host.js';

/** Unhandled bytes that a stream may hold: some thousand publishes. */
const STREAM_WINDOW = 1024 * 1024;
/** Large, so that streams with waiting handlers do not block the others on their connection. */
const CONNECTION_WINDOW = 64 * 1024 * 1024;
const MEGABYTES_PER_SESSION = 4_096;

const SESSION_OPTIONS: ServerOptions = {
  settings: { initialWindowSize: STREAM_WINDOW, maxConcurrentStreams: 2 ** 32 - 1, enablePush: false },
  // Some thousand open streams reach Node's default of 10 MB, which would end the client's connection.
  maxSessionMemory: MEGABYTES_PER_SESSION,
  maxSessionInvalidFrames: 1_000,
};

interface ReadableHandle {
  readStop(): void;
  readStart(): void;
}

/** One client's HTTP/2 connection. */
export class Connection implements CallConnection {
  readonly identity: string | null;
  readonly session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #handle: ReadableHandle | null;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.identity = socket instanceof TLSSocket ? commonName(socket) : null;
    // The session takes over the socket's handle. No public API stops its reads from then on, and a connection that
    // still answered pings would not look half-open to a client.
    this.#handle = (socket as unknown as { _handle: ReadableHandle | null })._handle;
    this.session = performServerHandshake(socket, SESSION_OPTIONS);
    this.session.setLocalWindowSize(CONNECTION_WINDOW);
  }

  /** Neither reads nor responds while silent; the calls hold back what they write. */
  setSilent(silent: boolean): void {
    if (this.#socket.destroyed || !this.#handle) return;
    if (silent) this.#handle.readStop();
    else this.#handle.readStart();
  }

  /** Sends GOAWAY; the connection ends with its last call. */
  goAway(): void {
    if (!this.session.closed && !this.session.destroyed) this.session.close();
  }

  cut(): void {
    this.#socket.destroy();
  }
}

function commonName(socket: TLSSocket): string | null {
  if (!socket.authorized) return null;
  const name = socket.getPeerCertificate()?.subject?.CN;
  return typeof name === 'string' ? name : null;
}
