import { type Client, connect } from 'liftbridge-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FetchMetadataResponse } from '../../src/protocol/generated/api.js';
import { Certificates } from '../support/certificates.js';
import { answer, ScriptedPeer } from '../support/scripted-peer.js';

/** The HTTP status that a proxy returns instead of the broker; null while it forwards calls. */
let proxyStatus: number | null;
let peer: ScriptedPeer;
let client: Client;

beforeEach(async () => {
  proxyStatus = null;
  peer = await ScriptedPeer.start((stream) => {
    stream.resume();
    if (proxyStatus !== null) {
      stream.respond({ ':status': proxyStatus, 'content-type': 'text/html' });
      stream.end('<html>no</html>');
    } else stream.on('end', () => answer(stream, [metadata()]));
  });
  client = await connect(`127.0.0.1:${peer.port}`, {
    ackTimeout: 60_000,
    requestTimeout: 60_000,
    retry: { attempts: 2, minDelay: 1, maxDelay: 5 },
  });
  await client.fetchMetadata();
});

afterEach(async () => {
  await client.close({ timeout: 0 });
  await peer.close();
});

function metadata(): Uint8Array {
  const partition = { id: 0, leader: 'a', replicas: ['a'], isr: ['a'] };
  return FetchMetadataResponse.encode(
    FetchMetadataResponse.fromPartial({
      brokers: [{ id: 'a', host: '127.0.0.1', port: peer.port }],
      streamMetadata: [{ name: 'orders', subject: 'orders', partitions: new Map([[0, partition]]) }],
    } as never),
  ).finish();
}

const CALLS: [plane: string, call: () => Promise<unknown>][] = [
  ['a unary call', () => client.deleteStream('orders')],
  ['a publish', () => client.publish('orders', 'x')],
  ['a subscription', () => client.subscribe('orders', { timeout: 2_000 })],
];

describe.each([
  [401, { code: 'PERMISSION_DENIED', retryable: false }],
  [403, { code: 'PERMISSION_DENIED', retryable: false }],
  [407, { code: 'SERVER', retryable: false }],
  [502, { code: 'CONNECTION', reason: 'unavailable', retryable: true }],
])('HTTP status %i of a proxy', (status, expected) => {
  it.each(CALLS)('gives the same error for %s', async (_plane, call) => {
    proxyStatus = status;
    const message = expect.stringContaining(`the server answered HTTP ${status} with content-type text/html`);
    await expect(call()).rejects.toMatchObject({ ...expected, message });
  });
});

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('a client certificate that has expired, over %s', (version) => {
  it('gives the same error for every call', async () => {
    const authority = await Certificates.create();
    const [server, expired] = await Promise.all([authority.issue(), authority.issue({ expired: true })]);
    const ca = authority.ca.cert;
    const mutual = { ca, requestCert: true, rejectUnauthorized: true, minVersion: version, maxVersion: version };
    const secured = await ScriptedPeer.start(() => undefined, { ...server, ...mutual });
    const connecting = connect(`127.0.0.1:${secured.port}`, { tls: { ca, ...expired }, connectTimeout: 10_000 });
    await expect(connecting).rejects.toMatchObject({ code: 'CONNECTION', reason: 'tls-rejected', retryable: false });
    await secured.close();
  });
});
