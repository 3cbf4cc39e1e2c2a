import { generate } from 'selfsigned';

/** A certificate and its key, in PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

const pair = ({ cert, private: key }: { cert: string; private: string }): Pair => ({ cert, key });

/** An authority, a server certificate for loopback, and a client certificate with the given common name. */
export async function certificates(
  clientName: string,
): Promise<{ ca: Pair; server: Pair; client: Pair; stranger: Pair }> {
  const ca = pair(
    await generate([{ name: 'commonName', value: 'Test CA' }], {
      extensions: [{ name: 'basicConstraints', cA: true, critical: true }],
    }),
  );
  const server = await generate([{ name: 'commonName', value: 'localhost' }], {
    ca,
    extensions: [
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  const client = await generate([{ name: 'commonName', value: clientName }], { ca });
  const stranger = await generate([{ name: 'commonName', value: clientName }]);
  return { ca, server: pair(server), client: pair(client), stranger: pair(stranger) };
}
