import type { Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { deferred } from 'liftbridge-client/protocol';
import { BrokerOptionError } from '../option-error.js';
import type { BrokerTlsOptions } from '../options.js';

/** How long a TLS handshake may take. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Callbacks of new connections. */
export interface Greeted {
  /** The connection is ready for HTTP/2. */
  ready(socket: Socket): void;
  /** A TLS handshake failed; the connection is closed already. */
  failed(error: Error): void;
}

/**
 * Prepares new connections for HTTP/2: unchanged, or with a TLS handshake. Throws BrokerOptionError for invalid
 * certificates.
 */
export function createGreeting(tls: BrokerTlsOptions | null, greeted: Greeted): (socket: Socket) => void {
  if (tls === null) return (socket) => greeted.ready(socket);
  const { cert, key, clientCa } = tls;
  const mutual = clientCa !== undefined;
  try {
    const server = createTlsServer({
      cert: pem(cert),
      key: pem(key),
      ...(mutual && { ca: pem(clientCa), requestCert: true, rejectUnauthorized: true }),
      ALPNProtocols: ['h2'],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    server.on('secureConnection', (socket) => greeted.ready(socket));
    server.on('tlsClientError', (error) => greeted.failed(error));
    return (socket) => server.emit('connection', socket);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BrokerOptionError('tls', '(PEM)', `cannot use the TLS certificate and key: ${reason}`, { cause: error });
  }
}

function pem(value: string | Uint8Array): string | Buffer {
  return typeof value === 'string' ? value : Buffer.from(value);
}

/** Resolves with the port once the server listens; rejects with the error of the system, such as EADDRINUSE. */
export function listen(server: Server, host: string, port: number): Promise<number> {
  const { promise, resolve, reject } = deferred<number>();
  server.once('error', reject);
  server.listen({ host, port }, () => {
    server.off('error', reject);
    const address = server.address();
    resolve(typeof address === 'object' && address !== null ? address.port : port);
  });
  return promise;
}
