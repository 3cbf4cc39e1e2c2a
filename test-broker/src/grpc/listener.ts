import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { BrokerOptionError } from '../option-error.js';
import type { BrokerTlsOptions } from '../options.js';

/** Seconds that a client may take for its TLS handshake. */
const HANDSHAKE_TIMEOUT = 10_000;

/**
 * A server that hands over each connection once it may speak HTTP/2: at once, or after the TLS handshake. Throws
 * BrokerOptionError for certificates that cannot be used.
 */
export function createListener(tls: BrokerTlsOptions | null, onConnection: (socket: Socket) => void): Server {
  if (tls === null) return createServer({ noDelay: true }, onConnection);
  const { cert, key, clientCa } = tls;
  const mutual = clientCa !== undefined;
  try {
    return createTlsServer(
      {
        cert: pem(cert),
        key: pem(key),
        ...(mutual && { ca: pem(clientCa), requestCert: true, rejectUnauthorized: true }),
        ALPNProtocols: ['h2'],
        handshakeTimeout: HANDSHAKE_TIMEOUT,
        noDelay: true,
      },
      onConnection,
    );
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
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
