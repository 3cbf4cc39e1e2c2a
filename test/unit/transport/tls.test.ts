import type { SecureServerOptions } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer, type TlsOptions as TlsServerOptions } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { definitionOf } from '../../../src/cluster/unary-calls.js';
import { FetchMetadataResponse } from '../../../src/protocol/generated/api.js';
import { DataSession, type TlsOptions } from '../../../src/transport/duplex.js';
import { RpcFailure } from '../../../src/transport/status.js';
import { UnaryChannel } from '../../../src/transport/unary.js';
import { Certificates, type Identity } from '../../support/certificates.js';
import { RawPeer } from '../../support/raw-peer.js';
import { answer, ScriptedPeer } from '../../support/scripted-peer.js';
import { tlsAlert } from '../../support/tls-alert.js';

// The client reads the clock once when it is loaded; a test here moves it afterwards.
vi.mock('../../../src/async/clock.js', async (original) => ({
  ...(await original<typeof import('../../../src/async/clock.js')>()),
  wallNow: () => Date.now(),
}));

const open: { close(): unknown }[] = [];
let authority: Certificates;
let stranger: Certificates;
let server: Identity;
let client: Identity;
let elsewhere: Identity;
let expired: Identity;

beforeAll(async () => {
  authority = await Certificates.create();
  stranger = await Certificates.create('another ca');
  server = await authority.issue();
  client = await authority.issue();
  elsewhere = await authority.issue({ hosts: ['broker.example'], ips: ['10.1.2.3'] });
  expired = await authority.issue({ expired: true });
});

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

function opened<T extends { close(): unknown }>(one: T): T {
  open.push(one);
  return one;
}

async function peerWith(tls?: SecureServerOptions): Promise<ScriptedPeer> {
  const empty = FetchMetadataResponse.encode(FetchMetadataResponse.fromPartial({})).finish();
  return opened(await ScriptedPeer.start((stream) => answer(stream, [empty]), tls));
}

type Plane = (peer: { port: number }, tls: TlsOptions | undefined, connectTimeout?: number) => Promise<string>;

/** What the last connection that failed said. */
let details = '';

/** 'ok', or why there is no connection. */
async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'ok';
  } catch (error) {
    if (!(error instanceof RpcFailure)) throw error;
    expect(error).toMatchObject({ code: 14, sent: false });
    details = error.details;
    return error.connection ?? error.message;
  }
}

/** A server that completes TLS handshakes and then closes, as a load balancer whose backend is away. */
async function closingAfterHandshake(options: TlsServerOptions): Promise<{ port: number }> {
  const server = createTlsServer({ ALPNProtocols: ['h2'], ...options }, (socket) => {
    socket.on('error', () => {});
    socket.end();
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  open.push({ close: () => new Promise((resolve) => server.close(resolve)) });
  return server.address() as AddressInfo;
}

const planes: [string, Plane][] = [
  [
    'the data plane',
    (peer, tls, connectTimeout = 5_000) => {
      const session = opened(new DataSession({ host: 'localhost', port: peer.port, tls, connectTimeout }));
      return outcome(
        session.connect().then(async () => {
          const stream = session.open('/x');
          stream.onFrames(() => {});
          expect((await stream.ended).code).toBe(0);
        }),
      );
    },
  ],
  [
    'the control plane',
    (peer, tls, connectTimeout = 5_000) => {
      const channel = opened(new UnaryChannel({ host: 'localhost', port: peer.port, tls, connectTimeout }));
      return outcome(channel.call(definitionOf('fetchMetadata'), { streams: [], groups: [] }));
    },
  ],
];

describe.each(planes)('TLS on %s', (_, through) => {
  it('connects when the certificate is for the host and of the given CA', async () => {
    const peer = await peerWith(server);
    expect(await through(peer, { ca: authority.ca.cert })).toBe('ok');
    expect(peer.calls[0]?.[':scheme']).toBe('https');
  });

  it('takes a CA as text, as bytes and as a list of either', async () => {
    const peer = await peerWith({ cert: server.cert, key: server.key });
    const text = String(authority.ca.cert);
    for (const ca of [text, Buffer.from(text), [text], [String(stranger.ca.cert), Buffer.from(text)]])
      expect(await through(peer, { ca })).toBe('ok');
    expect(await through(peer, { ca: [stranger.ca.cert] })).toBe('tls-untrusted');
  });

  it('connects with a client certificate', async () => {
    const peer = await peerWith({ ...server, ca: authority.ca.cert, requestCert: true, rejectUnauthorized: true });
    expect(await through(peer, { ca: [authority.ca.cert], ...client })).toBe('ok');
  });

  it('says tls-rejected when the client certificate is missing or of another CA', async () => {
    const peer = await peerWith({ ...server, ca: authority.ca.cert, requestCert: true, rejectUnauthorized: true });
    expect(await through(peer, { ca: authority.ca.cert })).toBe('tls-rejected');
    expect(await through(peer, { ca: authority.ca.cert, ...(await stranger.issue()) })).toBe('tls-rejected');
  });

  it.each([
    [40, 'it wants a client certificate (tls.cert and tls.key)'],
    [42, 'check tls.cert and tls.key'],
    [44, 'was revoked'],
    [45, 'the client certificate has expired or is not yet valid; renew tls.cert'],
    [48, 'it does not trust the CA of the client certificate'],
    [70, 'it speaks no TLS version that this client speaks'],
    [80, 'it refused the TLS handshake'],
    [112, 'set tls.servername'],
    [116, 'it wants a client certificate; give tls.cert and tls.key'],
  ])('says tls-rejected for the TLS alert %i, with what to do about it', async (alert, hint) => {
    const peer = opened(
      await RawPeer.start({
        onConnection: (connection) => {
          connection.write(tlsAlert(alert));
          connection.end();
        },
      }),
    );
    expect(await through(peer, { ca: authority.ca.cert })).toBe('tls-rejected');
    expect(details).toContain(hint);
  });

  it('says lost when the peer closes the connection during the handshake, or after it without a TLS alert', async () => {
    const closing = opened(await RawPeer.start({ onConnection: (connection) => connection.end() }));
    for (const peer of [closing, await closingAfterHandshake(server)]) {
      expect(await through(peer, { ca: authority.ca.cert })).toBe('lost');
      expect(await through(peer, { ca: authority.ca.cert, ...client })).toBe('lost');
    }
  });

  it('says lost when a peer closes that has asked for a client certificate and accepted it before', async () => {
    const mutual = { ...server, ca: authority.ca.cert, requestCert: true, rejectUnauthorized: true };
    const tls = { ca: authority.ca.cert, ...client };
    expect(await through(await closingAfterHandshake(mutual), tls)).toBe('tls-rejected');
    expect(await through(await peerWith(mutual), tls)).toBe('ok');
    expect(await through(await closingAfterHandshake(mutual), tls)).toBe('lost');
  });

  it('says tls-untrusted when the certificate is of another CA, unless told to accept any', async () => {
    const peer = await peerWith(server);
    expect(await through(peer, { ca: stranger.ca.cert })).toBe('tls-untrusted');
    expect(await through(peer, {})).toBe('tls-untrusted');
    expect(await through(peer, { rejectUnauthorized: false })).toBe('ok');
  });

  it('says tls-hostname when the certificate is for another host, and servername mends it', async () => {
    const peer = await peerWith(elsewhere);
    expect(await through(peer, { ca: authority.ca.cert })).toBe('tls-hostname');
    expect(await through(peer, { ca: authority.ca.cert, servername: 'broker.example' })).toBe('ok');
  });

  it('lets checkServerIdentity decide instead of the host name', async () => {
    const peer = await peerWith(elsewhere);
    const asked: string[] = [];
    const checkServerIdentity = (hostname: string) => {
      asked.push(hostname);
      return undefined;
    };
    expect(await through(peer, { ca: authority.ca.cert, checkServerIdentity })).toBe('ok');
    expect(asked).toContain('localhost');
    const refusing = { ca: authority.ca.cert, checkServerIdentity: () => new Error('not this one') };
    expect(await through(peer, refusing)).toBe('tls-hostname');
  });

  it.each([
    ['null', () => null, 'ok'],
    ['a text', () => 'not this one', 'tls-hostname'],
    [
      'nothing, since it throws',
      () => {
        throw new Error('not this one');
      },
      'tls-hostname',
    ],
  ])('uses the answer of a checkServerIdentity that returns %s', async (_what, check, expected) => {
    const peer = await peerWith(elsewhere);
    const checkServerIdentity = check as unknown as NonNullable<TlsOptions['checkServerIdentity']>;
    expect(await through(peer, { ca: authority.ca.cert, checkServerIdentity })).toBe(expected);
    if (expected !== 'ok') expect(details).toContain('not this one');
  });

  it('checks an IP address that is given as servername, and does not send it', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockReturnValue();
    const peer = await peerWith(elsewhere);
    expect(await through(peer, { ca: authority.ca.cert, servername: '10.1.2.3' })).toBe('ok');
    expect(await through(peer, { ca: authority.ca.cert, servername: '10.1.2.4' })).toBe('tls-hostname');
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('says tls-expired when the certificate is expired', async () => {
    expect(await through(await peerWith(expired), { ca: authority.ca.cert })).toBe('tls-expired');
  });

  it('says tls-required when a plaintext client meets a TLS server', async () => {
    expect(await through(await peerWith(server), undefined)).toBe('tls-required');
  });

  it('says tls-required also when that server wants a client certificate', async () => {
    const peer = await peerWith({ ...server, ca: authority.ca.cert, requestCert: true, rejectUnauthorized: true });
    expect(await through(peer, undefined)).toBe('tls-required');
  });

  it('says tls-not-spoken when a TLS client meets a plaintext server', async () => {
    expect(await through(await peerWith(), { ca: authority.ca.cert })).toBe('tls-not-spoken');
  });

  it('says timeout when the peer never answers the handshake, and leaves no socket', async () => {
    const peer = opened(await RawPeer.start({}));
    expect(await through(peer, { ca: authority.ca.cert }, 50)).toBe('timeout');
    await expect.poll(() => peer.open).toBe(0);
  });

  it('says protocol when the server offers no HTTP/2 by ALPN', async () => {
    const plain = createTlsServer({ ...server }, (socket) => socket.on('error', () => {}));
    await new Promise<void>((resolve) => {
      plain.listen(0, '127.0.0.1', resolve);
    });
    open.push({ close: () => new Promise((resolve) => plain.close(resolve)) });
    const { port } = plain.address() as { port: number };
    expect(await through({ port }, { ca: authority.ca.cert })).toBe('protocol');
  });

  it.each([
    ['a key that is none', () => ({ cert: client.cert, key: 'no key' })],
    ['a key of another certificate', () => ({ cert: client.cert, key: server.key })],
    ['a pfx that is none', () => ({ pfx: Buffer.from('no pfx') })],
  ])('says tls-config for %s', async (_, tls) => {
    expect(await through(await peerWith(server), { ca: authority.ca.cert, ...tls() })).toBe('tls-config');
  });
});

describe('a client certificate that expires while the client runs', () => {
  it('is refused by a close without an alert, although it was accepted before', async () => {
    const mutual = { ...server, ca: authority.ca.cert, requestCert: true, rejectUnauthorized: true };
    const tls = { ca: authority.ca.cert, ...client };
    const [[, through]] = planes as [(typeof planes)[0]];
    expect(await through(await peerWith(mutual), tls)).toBe('ok');
    const tomorrow = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 48 * 60 * 60 * 1000);
    try {
      expect(await through(await closingAfterHandshake(mutual), tls)).toBe('tls-rejected');
    } finally {
      tomorrow.mockRestore();
    }
  });
});

describe('after all these', () => {
  it('no socket is left open', async () => {
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');
    await expect.poll(sockets).toEqual([]);
  });
});
