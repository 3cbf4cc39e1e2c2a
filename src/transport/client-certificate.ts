import type { TLSSocket } from 'node:tls';
import { wallNow } from '../async/clock.js';

/** TLS options whose client certificate a peer has accepted. */
const accepted = new WeakSet<object>();

/** Notes that a peer has accepted the client certificate of these options. */
export function noteAccepted(options: object | undefined): void {
  if (options !== undefined) accepted.add(options);
}

/**
 * Call it when the handshake is complete. Returns whether a close without a TLS alert that follows means that the peer
 * refused the client certificate: it asked for one, was given one, and this one is out of date or was never accepted before.
 * Otherwise the close is a lost connection, as behind a load balancer whose backend is away. Servers in Go send an alert;
 * Node's close without one.
 */
export function closeMeansRefusal(socket: TLSSocket, options: object | undefined): boolean {
  const certificate = socket.getCertificate();
  if (certificate === null || !('valid_to' in certificate)) return false;
  // A client knows of its peer's signature algorithms only from a request for its certificate.
  if (socket.getSharedSigalgs().length === 0) return false;
  if (options === undefined || !accepted.has(options)) return true;
  // The validity of a certificate is a matter of wall time.
  const now = wallNow();
  return now < Date.parse(certificate.valid_from) || now > Date.parse(certificate.valid_to);
}
