import { writeFileSync } from 'node:fs';
import * as http2 from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import { turns } from '../../../test/support/turns.js';
import { Faults } from '../../src/faults.js';
import { type Authorize, allowAll, authorizeBy, createAuthorize } from '../../src/grpc/authorization.js';
import type { GrpcServer } from '../../src/grpc/server.js';
import type { Method } from '../../src/grpc/service.js';
import type { BrokerTlsOptions } from '../../src/options.js';
import { resolveSettings } from '../../src/settings.js';
import { certificates } from './certificates.js';
import { foreignClient, startServer, unary } from './fixture.js';

type Certificates = Awaited<ReturnType<typeof certificates>>;
let pems: Certificates;
beforeAll(async () => {
  pems = await certificates('alice');
});

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const whoAmI = (seen: (string | null)[], authorize: Authorize = allowAll): Method => ({
  kind: 'unary',
  handle: (_payload, call) => {
    seen.push(call.identity);
    authorize(call, 'orders', call.method);
    return Buffer.alloc(0);
  },
});

async function serve(tls: BrokerTlsOptions, method: Method): Promise<GrpcServer> {
  const server = await startServer({ Publish: method }, { tls });
  cleanups.push(() => server.stop());
  return server;
}

async function publish(server: GrpcServer, credentials: grpc.ChannelCredentials): Promise<unknown> {
  const client = foreignClient(server.address, credentials);
  try {
    return await unary(client, 'Publish', {}, { deadline: Date.now() + 60_000 });
  } finally {
    client.close();
  }
}

const asClient = (pair?: { cert: string; key: string }) =>
  grpc.credentials.createSsl(
    Buffer.from(pems.ca.cert),
    pair ? Buffer.from(pair.key) : null,
    pair ? Buffer.from(pair.cert) : null,
  );

describe('TLS', () => {
  test('a client that trusts the authority is served, without an identity', async () => {
    const seen: (string | null)[] = [];
    const server = await serve(pems.server, whoAmI(seen));
    await publish(server, asClient());
    expect(seen).toEqual([null]);
  });

  test('a plaintext client fails with UNAVAILABLE', async () => {
    const server = await serve(pems.server, whoAmI([]));
    await expect(publish(server, grpc.credentials.createInsecure())).rejects.toMatchObject({
      code: grpc.status.UNAVAILABLE,
    });
  });

  test('with a client authority the identity is the common name of the certificate', async () => {
    const seen: (string | null)[] = [];
    const server = await serve({ ...pems.server, clientCa: pems.ca.cert }, whoAmI(seen));
    await publish(server, asClient(pems.client));
    expect(seen).toEqual(['alice']);
  });

  test('with a client authority a missing or foreign certificate fails with UNAVAILABLE', async () => {
    const seen: (string | null)[] = [];
    const server = await serve({ ...pems.server, clientCa: pems.ca.cert }, whoAmI(seen));
    for (const credentials of [asClient(), asClient(pems.stranger)])
      await expect(publish(server, credentials)).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });
    expect(seen).toEqual([]);
  });

  test('silence also applies to TLS connections', async () => {
    const faults = new Faults();
    const server = await startServer({ Publish: whoAmI([]) }, { tls: pems.server, faults });
    cleanups.push(() => server.stop());
    const session = http2.connect(`https://${server.address}`, { ca: pems.ca.cert });
    cleanups.push(() => session.destroy());
    await new Promise((resolve) => session.once('connect', resolve));
    const end = faults.silence();
    let answered = false;
    const pong = new Promise<void>((resolve) => {
      session.ping(() => {
        answered = true;
        resolve();
      });
    });
    const late = http2.connect(`https://${server.address}`, { ca: pems.ca.cert });
    cleanups.push(() => late.destroy());
    const connected = new Promise<void>((resolve) => {
      late.once('connect', () => {
        answered = true;
        resolve();
      });
    });
    await turns();
    expect(answered).toBe(false);
    end();
    await Promise.all([pong, connected]);
  });

  test('stop does not wait for a client that never completes the handshake', async () => {
    const server = await serve(pems.server, whoAmI([]));
    const socket = connect(server.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    await expect.poll(() => server.connectionCount).toBe(1);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await server.stop();
    await closed;
  });

  test.each([
    ['text without PEM', (server: { cert: string; key: string }) => ({ ...server, cert: '-----BEGIN nothing' })],
    [
      'the key of another certificate',
      (server: { cert: string; key: string }) => ({ ...server, key: pems.client.key }),
    ],
  ])('rejects %s and names it', async (_what, spoil) => {
    const starting = startServer({}, { tls: spoil(pems.server) });
    await expect(starting).rejects.toMatchObject({
      name: 'BrokerOptionError',
      message: expect.stringMatching(/^cannot use the TLS certificate and key: /),
    });
  });
});

describe('createAuthorize', () => {
  const folder = temporaryDirectory();
  const enabled = (policy: unknown) =>
    createAuthorize(resolveSettings({ 'tls.client.authz.enabled': true, 'tls.client.authz.policy': policy }));
  const alice = { identity: 'alice' };

  test('permits every call unless it is enabled', () => {
    expect(createAuthorize(resolveSettings())).toBe(allowAll);
    expect(() => allowAll({ identity: null }, 'orders', 'Publish')).not.toThrow();
  });

  test('permits the calls that a rule names and denies all others', () => {
    const authorize = enabled([['alice', 'orders', 'Publish']]);
    authorize(alice, 'orders', 'Publish');
    const denied = (identity: string, resource: string, rpc: string) =>
      expect(() => authorize({ identity }, resource, rpc)).toThrow(
        `The client is not authorized to call ${rpc} on resource ${resource}`,
      );
    denied('alice', 'orders', 'Subscribe');
    denied('alice', 'order', 'Publish');
    denied('bob', 'orders', 'Publish');
  });

  test('requires a client certificate', () => {
    const authorize = authorizeBy([['alice', 'orders', 'Publish']]);
    expect(() => authorize({ identity: null }, 'orders', 'Publish')).toThrow('api: Failed to retrieve client ID');
  });

  test('a denied client of mutual TLS receives UNKNOWN', async () => {
    const tls = { ...pems.server, clientCa: pems.ca.cert };
    const server = await serve(tls, whoAmI([], authorizeBy([['bob', 'orders', 'Publish']])));
    await expect(publish(server, asClient(pems.client))).rejects.toMatchObject({
      code: grpc.status.UNKNOWN,
      details: 'The client is not authorized to call Publish on resource orders',
    });
  });

  test('reads the rules from a CSV file', () => {
    const path = join(folder, 'policy.csv');
    writeFileSync(path, '# who, what, which\np, alice, orders, Publish\n\np,alice,*,FetchMetadata\n');
    const authorize = enabled(path);
    authorize(alice, 'orders', 'Publish');
    authorize(alice, '*', 'FetchMetadata');
    expect(() => authorize(alice, 'orders', 'FetchMetadata')).toThrow('not authorized');
  });

  test('rejects a missing policy, a missing file and a line that is not a rule', () => {
    expect(() => enabled(undefined)).toThrow('tls.client.authz.enabled needs tls.client.authz.policy');
    expect(() => enabled(join(folder, 'none.csv'))).toThrow(/^cannot read tls.client.authz.policy .*ENOENT/);
    const path = join(folder, 'bad.csv');
    writeFileSync(path, 'p, alice, orders\n');
    expect(() => enabled(path)).toThrow('expected line 1 of');
  });
});
