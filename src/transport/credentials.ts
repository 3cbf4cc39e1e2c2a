import type { PeerCertificate } from 'node:tls';

type Pem = string | Buffer | readonly (string | Buffer)[];

/** How to secure connections to brokers; the names are those of `node:tls`. */
export interface TlsOptions {
  /** CA certificates to trust, in PEM; default: those that Node trusts. */
  readonly ca?: Pem;
  /** Client certificate chain, in PEM. */
  readonly cert?: Pem;
  /** Private key of `cert`, in PEM. */
  readonly key?: Pem;
  /** Passphrase of `key` or `pfx`. */
  readonly passphrase?: string;
  /** Client certificate and key together, as PKCS#12. */
  readonly pfx?: Buffer | string;
  /** Name to ask for and to check the certificate against; default: the host of the broker. */
  readonly servername?: string;
  /** False accepts any certificate; default true. */
  readonly rejectUnauthorized?: boolean;
  /** Checks the certificate's names instead of Node's own check; an answered error refuses the connection. */
  readonly checkServerIdentity?: (hostname: string, certificate: PeerCertificate) => Error | undefined;
}
