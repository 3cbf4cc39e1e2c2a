/**
 * Why there is no connection to a broker:
 * - `refused`: no process listens on the port; `unreachable`: no route, the name does not resolve, or it is no address; `timeout`: no answer in time
 *   (also a peer that takes the TCP connection and then stays silent); `lost`: an open connection broke or went silent;
 *   `closed`: this side closed it; `protocol`: the peer does not speak HTTP/2 with gRPC
 * - `tls-untrusted`: the certificate is of no trusted CA; `tls-hostname`: it is for another host (or `checkServerIdentity`
 *   refused it); `tls-expired`: it is expired or not yet valid; `tls-not-spoken`: the broker speaks plaintext;
 *   `tls-required`: the broker speaks TLS and this client plaintext; `tls-rejected`: the broker refused the handshake by a
 *   TLS alert, or closed because of the client certificate; `tls-config`: the given key, certificate or passphrase is unusable
 */
export type ConnectionReason =
  | 'refused'
  | 'unreachable'
  | 'timeout'
  | 'lost'
  | 'closed'
  | 'protocol'
  | 'tls-untrusted'
  | 'tls-hostname'
  | 'tls-expired'
  | 'tls-not-spoken'
  | 'tls-required'
  | 'tls-rejected'
  | 'tls-config';
