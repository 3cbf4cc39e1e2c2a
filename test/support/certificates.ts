import { generate } from 'selfsigned';

/** A certificate and its key, in PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

const DAY = 24 * 60 * 60 * 1000;

/** Certificates for tests of TLS, created on demand. */
export class Certificates {
  readonly ca: Identity;

  private constructor(ca: Identity) {
    this.ca = ca;
  }

  /** A new certificate authority. */
  static async create(name = 'test ca'): Promise<Certificates> {
    const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
      algorithm: 'sha256',
      keyType: 'ec',
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true },
      ],
    });
    return new Certificates({ cert, key });
  }

  /** A certificate of this authority. By default it is for localhost and 127.0.0.1, and valid from yesterday to tomorrow. */
  async issue(
    options: { readonly hosts?: readonly string[]; readonly ips?: readonly string[]; readonly expired?: boolean } = {},
  ): Promise<Identity> {
    const { hosts = ['localhost'], ips = ['127.0.0.1'], expired = false } = options;
    const end = Date.now() + (expired ? -DAY : DAY);
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'test' }], {
      algorithm: 'sha256',
      keyType: 'ec',
      notBeforeDate: new Date(end - 2 * DAY),
      notAfterDate: new Date(end),
      ca: this.ca,
      extensions: [
        { name: 'basicConstraints', cA: false },
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
        {
          name: 'subjectAltName',
          altNames: [
            ...hosts.map((value) => ({ type: 2 as const, value })),
            ...ips.map((ip) => ({ type: 7 as const, ip })),
          ],
        },
      ],
    });
    return { cert, key };
  }
}
