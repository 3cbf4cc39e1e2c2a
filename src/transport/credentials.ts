import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
} from 'node:tls';
import { messageOf } from '../errors/quote.js';

/** @inline */
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
  /** Name to ask for and to check the certificate against; default: the host of the broker. An IP address is only checked. */
  readonly servername?: string;
  /** False accepts any certificate; default true. */
  readonly rejectUnauthorized?: boolean;
  /** Checks the certificate's names instead of Node's own check. An error that it returns or throws refuses the connection. */
  readonly checkServerIdentity?: (hostname: string, certificate: PeerCertificate) => Error | undefined;
}

/** `true` and the empty options are the same: TLS with Node's own trusted CAs. */
export function tlsOptions(tls: boolean | TlsOptions | undefined): TlsOptions | undefined {
  if (tls === undefined || tls === false) return undefined;
  return tls === true ? {} : tls;
}

/** Keys and certificates, parsed once for every connection. Throws what OpenSSL says of unusable ones. */
function secureContext(tls: TlsOptions): SecureContext {
  return createSecureContext({
    ...(tls.ca === undefined ? {} : { ca: mutable(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: mutable(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: mutable(tls.key) }),
    ...(tls.passphrase === undefined ? {} : { passphrase: tls.passphrase }),
    ...(tls.pfx === undefined ? {} : { pfx: tls.pfx }),
  });
}

function mutable(pem: Pem): string | Buffer | (string | Buffer)[] {
  return typeof pem === 'string' || Buffer.isBuffer(pem) ? pem : [...pem];
}

/** The options of `tls.connect` for the data plane, without the address. */
export function connectOptions(tls: TlsOptions): ConnectionOptions {
  return {
    secureContext: secureContext(tls),
    ALPNProtocols: ['h2'],
    rejectUnauthorized: tls.rejectUnauthorized ?? true,
    ...nameOptions(tls),
  };
}

/** TLS has no IP addresses as server names (Node prints a deprecation, DEP0123), but certificates have. */
function nameOptions({ servername, checkServerIdentity: own }: TlsOptions): ConnectionOptions {
  const check = own === undefined ? undefined : identityCheck(own);
  if (servername === undefined || isIP(servername) === 0)
    return { ...(servername === undefined ? {} : { servername }), ...(check && { checkServerIdentity: check }) };
  return { checkServerIdentity: (_host, certificate) => (check ?? checkServerIdentity)(servername, certificate) };
}

/** Marks what the caller's check answers, so that it is told apart from other failures whatever the error looks like. */
function identityCheck(
  check: NonNullable<TlsOptions['checkServerIdentity']>,
): NonNullable<TlsOptions['checkServerIdentity']> {
  return (hostname, certificate) => {
    let refusal: unknown;
    try {
      refusal = check(hostname, certificate);
    } catch (cause) {
      refusal = new Error(`checkServerIdentity threw: ${messageOf(cause)}`, { cause });
    }
    if (refusal === undefined || refusal === null) return undefined;
    const error = new Error(messageOf(refusal), { cause: refusal });
    return Object.assign(error, { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  };
}
