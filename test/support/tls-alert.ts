/** Numbers of TLS alerts. */
export const TlsAlert = { CERTIFICATE_EXPIRED: 45, UNKNOWN_CA: 48, CERTIFICATE_REQUIRED: 116 } as const;

/** A fatal TLS alert, as a server sends it before the connection is encrypted. */
export function tlsAlert(number: number): Buffer {
  return Buffer.from([0x15, 3, 3, 0, 2, 2, number]);
}
