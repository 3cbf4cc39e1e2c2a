import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectNats, type NatsConnection } from 'nats';
import { afterEach, describe, expect, it } from 'vitest';
import { closing } from '../../../test/support/closing.js';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import { TestBroker as Broker, type TestBroker } from '../../src/broker.js';
import { certificates } from '../grpc/certificates.js';
import { NATS_SERVER, RealNatsServer } from '../nats/nats-server.js';
import { eventually } from './clients.js';
import { running } from './running.js';

const folder = temporaryDirectory();

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function natsServer(...options: string[]): Promise<RealNatsServer> {
  const server = await RealNatsServer.start(-1, options);
  closing({ close: () => server.stop() });
  return server;
}

/** Checks that the broker stores a message which a NATS client publishes. */
async function storesFrom(nats: NatsConnection, broker: TestBroker, subject: string, stream: string): Promise<void> {
  nats.publish(subject, 'from NATS');
  await eventually(
    () => broker.messages(stream).map((message) => message.text()),
    (values) => values.includes('from NATS'),
  );
}

/** Warnings of the broker, from now on. */
const listeners: ((warning: Error) => void)[] = [];
afterEach(() => {
  for (const listener of listeners.splice(0)) process.off('warning', listener);
});
function warnings(): string[] {
  const heard: string[] = [];
  const listener = ({ message }: Error) => heard.push(message);
  process.on('warning', listener);
  listeners.push(listener);
  return heard;
}

describe.skipIf(NATS_SERVER === null)(
  'a broker that attaches to a NATS server (skipped where nats-server is not installed)',
  () => {
    it.each([
      ['in the URL', (url: string) => url.replace('//', '//joe:s%40cret@')],
      ['as options', (url: string) => ({ url, user: 'joe', password: 's@cret' })],
    ])('accepts credentials %s, and returns them for NATS clients', async (_, nats) => {
      const server = await natsServer('--user', 'joe', '--pass', 's@cret');
      const { broker, client } = await running({ nats: nats(server.url) });
      await client.createStream('s', { subject: 's' });
      expect(broker.natsUrl).toBe(server.url.replace('//', '//joe:s%40cret@'));
      expect(broker.natsOptions).toEqual({ servers: [`127.0.0.1:${server.port}`], user: 'joe', pass: 's@cret' });
      await storesFrom(closing(await connectNats(broker.natsOptions!)), broker, 's', 's');
    });

    it('accepts a token', async () => {
      const server = await natsServer('--auth', 'opensesame');
      const { broker, client } = await running({ nats: { url: server.url, token: 'opensesame' } });
      await client.createStream('s', { subject: 's' });
      expect(broker.natsUrl).toBe(server.url.replace('//', '//opensesame@'));
      await storesFrom(closing(await connectNats(broker.natsOptions!)), broker, 's', 's');
    });

    it('accepts credentials from the settings of the server', async () => {
      const server = await natsServer('--user', 'joe', '--pass', 'secret');
      const settings = { 'nats.servers': [server.url], 'nats.user': 'joe', 'nats.password': 'secret' };
      const { client } = await running({ settings });
      await client.createStream('s', { subject: 's' });
      await client.publish('s', 'kept', { ackPolicy: 'ALL' });
    });

    it('trusts a private authority and sends a client certificate', async () => {
      const { ca, server: own, client: mine } = await certificates('broker');
      const tls = ['--tlsverify', '--tlscert', file('s.pem', own.cert), '--tlskey', file('s.key', own.key)];
      const server = await natsServer(...tls, '--tlscacert', file('ca.pem', ca.cert));
      const pem = { ca: ca.cert, cert: mine.cert, key: mine.key };
      const { broker, client } = await running({ nats: { url: server.url, ...pem } });
      await client.createStream('s', { subject: 's' });
      expect(broker.natsOptions).toEqual({ servers: [`127.0.0.1:${server.port}`], tls: pem });
      await storesFrom(closing(await connectNats(broker.natsOptions!)), broker, 's', 's');

      const files = { 'nats.tls.ca': file('ca.pem', ca.cert), 'nats.tls.cert': file('c.pem', mine.cert) };
      const settings = { 'nats.servers': [server.url], ...files, 'nats.tls.key': file('c.key', mine.key) };
      await (await running({ settings })).client.createStream('t', { subject: 't' });

      await expect(Broker.start({ nats: server.url })).rejects.toThrow(/^cannot connect to the NATS server at nats:/);
    });

    it('reports rejected credentials without revealing them', async () => {
      const server = await natsServer('--user', 'joe', '--pass', 'secret');
      await expect(Broker.start({ nats: { url: server.url, user: 'joe', password: 'wrong' } })).rejects.toMatchObject({
        code: 'AUTHORIZATION_VIOLATION',
        message: `cannot connect to the NATS server at ${server.url}: 'Authorization Violation'`,
      });
    });

    it('warns once when a reconnect is rejected permanently, and works again with other credentials', async () => {
      const server = await natsServer('--user', 'joe', '--pass', 'first');
      const { broker, client } = await running({ nats: { url: server.url, user: 'joe', password: 'first' } });
      await client.createStream('before', { subject: 'before' });
      const heard = warnings();
      await server.stop();
      const restarted = await RealNatsServer.start(server.port, ['--user', 'joe', '--pass', 'second']);
      closing({ close: () => restarted.stop() });
      const final = 'rejected the credentials (Authorization Violation); to reconnect, call attachNats()';
      await eventually(
        () => heard.filter((warning) => warning.includes(final)),
        (told) => told.length > 0,
      );
      await expect(client.publish('before', 'refused')).rejects.toEqual({
        code: 'UNKNOWN',
        details: 'failed to publish to NATS: nats: connection closed',
      });
      await expect(client.createStream('meanwhile', { subject: 'meanwhile' })).rejects.toMatchObject({
        details: expect.stringContaining('nats: connection closed'),
      });

      await expect(broker.attachNats({ url: server.url, user: 'joe', password: 'third' })).rejects.toMatchObject({
        code: 'AUTHORIZATION_VIOLATION',
      });
      await broker.attachNats({ url: server.url, user: 'joe', password: 'second' });
      expect(broker.natsUrl).toBe(server.url.replace('//', '//joe:second@'));
      for (const stream of ['before', 'meanwhile']) {
        await client.publish(stream, 'kept', { ackPolicy: 'ALL' });
        expect(broker.messages(stream).map((message) => message.text())).toEqual(['kept']);
      }
      expect(heard.filter((warning) => warning.includes(final))).toHaveLength(1);
    });

    it('moves to another NATS server while it runs, with each subscription exactly once', async () => {
      const [one, two] = [await natsServer(), await natsServer()];
      const { broker, client } = await running({ nats: one.url });
      await client.createStream('s', { subject: 's' });
      await client.publish('s', '0', { ackPolicy: 'ALL' });
      await broker.attachNats(two.url);
      await client.publish('s', '1', { ackPolicy: 'ALL' });
      const nats = closing(await connectNats(broker.natsOptions!));
      expect(nats.getServer()).toBe(`127.0.0.1:${two.port}`);
      await storesFrom(nats, broker, 's', 's');
      expect(broker.messages('s').map((message) => message.text())).toEqual(['0', '1', 'from NATS']);
    });
  },
);

describe('the option nats', () => {
  it.each([
    [{ url: 'localhost' }, 'expected nats.url to be true, false or a URL nats://host:port, got "localhost"'],
    [{ url: 'nats://h', usr: 'x' }, 'unknown option "nats.usr"; did you mean "nats.user"?'],
    [{ url: 'nats://h', user: '' }, 'expected nats.user to be a non-empty string'],
    [{ url: 'nats://h', password: 'x' }, 'option nats.password needs nats.user'],
    [{ url: 'nats://h', user: 'u', token: 't' }, 'option nats.token contradicts nats.user'],
    [
      { url: 'nats://a:b@h', user: 'u' },
      'option nats.url with credentials contradicts nats.user and nats.token; give one of them',
    ],
    [{ url: 'nats://h', ca: 'ca.pem' }, 'expected nats.ca to be a certificate or key in PEM'],
    [{ url: 'nats://h', cert: '-----BEGIN CERTIFICATE-----' }, 'options nats.cert and nats.key must be given together'],
    [{}, 'expected nats.url to be true, false or a URL nats://host:port, got undefined'],
  ])('rejects %j', async (nats, message) => {
    await expect(Broker.start({ nats: nats as never })).rejects.toMatchObject({
      name: 'BrokerOptionError',
      message: expect.stringContaining(message),
    });
  });

  it('is required for attachNats', async () => {
    const { broker } = await running({ nats: true });
    expect(broker.natsOptions).toEqual({ servers: [new URL(broker.natsUrl!).host] });
    await expect(broker.attachNats('nats://127.0.0.1:1')).rejects.toMatchObject({ name: 'BrokerOptionError' });
    expect((await running()).broker.natsOptions).toBeNull();
  });
});
