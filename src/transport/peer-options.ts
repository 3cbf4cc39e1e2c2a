import type { TlsOptions } from './credentials.js';
import type { CallMetadata, TransportLogger } from './metadata.js';

/** Where a connection of either plane leads, and how its peer is watched. Durations are milliseconds. */
export interface PeerOptions {
  readonly host: string;
  readonly port: number;
  /** True is TLS with Node's own trusted CAs. Default: plaintext. */
  readonly tls?: boolean | TlsOptions | undefined;
  /** gRPC metadata of every call. */
  readonly callMetadata?: CallMetadata | undefined;
  /** TCP, TLS and the peer's SETTINGS together. Default 10_000. */
  readonly connectTimeout?: number | undefined;
  /** Silence after which the peer is sent a keepalive. Default 30_000. */
  readonly keepaliveTime?: number | undefined;
  /** It has so long to answer. Default 15_000. */
  readonly keepaliveTimeout?: number | undefined;
  /** False leaves a peer alone while no stream is open. Default true. */
  readonly keepaliveWithoutStreams?: boolean | undefined;
  readonly logger?: TransportLogger | undefined;
}
