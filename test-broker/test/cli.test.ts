import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { startProcess } from '../../test/support/child-process.js';
import { closing } from '../../test/support/closing.js';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { certificates } from './grpc/certificates.js';
import { foreignClient, unary } from './grpc/fixture.js';

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
const folder = temporaryDirectory();

interface Run {
  readonly child: ChildProcess;
  stdout: string;
  stderr: string;
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
}

function run(...args: string[]): Run {
  const child = startProcess(process.execPath, ['--import', 'tsx', CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  const result: Run = { child, stdout: '', stderr: '', ended };
  child.stdout!.on('data', (chunk) => {
    result.stdout += chunk;
  });
  child.stderr!.on('data', (chunk) => {
    result.stderr += chunk;
  });
  return result;
}

async function ready(broker: Run): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    broker.child.stdout!.on('data', () => broker.stdout.includes('\n') && resolve());
    void broker.ended.then(() => reject(new Error(`it ended: ${broker.stderr}`)));
  });
  return broker.stdout;
}

async function failed(...args: string[]): Promise<string> {
  const broker = run(...args);
  expect(await broker.ended).toEqual({ code: 2, signal: null });
  expect(broker.stdout).toBe('');
  expect(broker.stderr.trimEnd().split('\n')).toHaveLength(1);
  return broker.stderr;
}

describe('liftbridge-test-broker', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('serves when it is ready, and exits with 0 on %s', async (signal) => {
    const broker = run('--port', '0', '--brokers', '2', '--nats-port', '0', '--quiet');
    const line = await ready(broker);
    const match = /^ready grpc=(127\.0\.0\.1:\d+),(127\.0\.0\.1:\d+) nats=(nats:\/\/127\.0\.0\.1:\d+)\n$/.exec(line);
    expect(match).not.toBeNull();
    for (const address of [match![1]!, match![2]!]) {
      const client = closing(foreignClient(address));
      const metadata = await unary(client, 'FetchMetadata', {});
      expect(metadata.brokers).toHaveLength(2);
    }
    broker.child.kill(signal);
    expect(await broker.ended).toEqual({ code: 0, signal: null });
    expect(broker.stderr).toBe('');
  });

  test('exits while a subscription is open', async () => {
    const broker = run('--port', '0', '--activity', '--cursors-partitions', '1');
    const line = await ready(broker);
    const client = closing(foreignClient(/grpc=(\S+)/.exec(line)![1]!));
    await unary(client, 'CreateStream', { name: 's', subject: 's' });
    const subscription = client.Subscribe({ stream: 's' });
    const lost = new Promise((resolve) => subscription.on('error', resolve));
    await new Promise((resolve) => subscription.once('data', resolve));
    broker.child.kill('SIGTERM');
    expect(await lost).toMatchObject({ code: 14 });
    expect(await broker.ended).toEqual({ code: 0, signal: null });
  });

  test('prints one line and exits with code 2 when the port is in use', async () => {
    const holder = closing(createServer());
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const { port } = holder.address() as { port: number };
    expect(await failed('--port', String(port))).toBe(`liftbridge-test-broker: port ${port} of 127.0.0.1 is in use\n`);
    expect(await failed('--port', '0', '--nats-port', String(port))).toBe(
      `liftbridge-test-broker: port ${port} of 127.0.0.1 is in use\n`,
    );
  });

  test('prints one line and exits with code 2 for invalid or unreadable input', async () => {
    const [unknown, setting, config, certificate] = await Promise.all([
      failed('--prot', '1'),
      failed('--port', '0', '--set', 'stream.retention=1'),
      failed('--config', join(folder, 'none.json')),
      failed('--port', '0', '--tls-cert', join(folder, 'none.pem'), '--tls-key', join(folder, 'none.pem')),
    ]);
    expect(unknown).toBe('liftbridge-test-broker: unknown option "--prot"; did you mean "--port"?\n');
    expect(setting).toMatch(/^liftbridge-test-broker: unknown setting "stream.retention"; did you mean "streams\./);
    expect(config).toMatch(/^liftbridge-test-broker: --config ".*none.json": cannot read ENOENT/);
    expect(certificate).toMatch(/^liftbridge-test-broker: cannot read tls.cert ".*none.pem": ENOENT/);
  });

  test('prints one line and exits with code 2 for a resource that is not available', async () => {
    const [nats, data, plaintext] = await Promise.all([
      failed('--port', '0', '--nats-url', 'nats://me:secret@127.0.0.1:1'),
      // Linux reports for every new directory there that it does not exist.
      failed('--port', '0', '--data-dir', '/proc/none/data'),
      failed('--port', '0', '--tls-client-ca', join(folder, 'none.pem')),
    ]);
    expect(nats).toBe(
      'liftbridge-test-broker: cannot connect to the NATS server at nats://127.0.0.1:1: CONNECTION_REFUSED\n',
    );
    expect(data).toMatch(/^liftbridge-test-broker: cannot use dataDir "\/proc\/none\/data": \w+: /);
    expect(plaintext).toBe('liftbridge-test-broker: setting tls.client.auth.enabled needs tls.cert and tls.key\n');
  });

  test('reads the access policy again on SIGHUP, and exits without a policy', async () => {
    const { ca, server, client: alice } = await certificates('alice');
    const path = (name: string, content: string) => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    };
    const policy = path('policy.csv', 'p, alice, *, FetchMetadata\n');
    const broker = run(
      ...['--port', '0', '--tls-cert', path('s.pem', server.cert), '--tls-key', path('s.key', server.key)],
      ...['--tls-client-ca', path('ca.pem', ca.cert), '--set', 'tls.client.authz.enabled=true'],
      ...['--set', `tls.client.authz.policy=${policy}`],
    );
    const line = await ready(broker);
    const credentials = grpc.credentials.createSsl(
      Buffer.from(ca.cert),
      Buffer.from(alice.key),
      Buffer.from(alice.cert),
    );
    const client = closing(foreignClient(/grpc=(\S+)/.exec(line)![1]!, credentials));
    const create = () => unary(client, 'CreateStream', { name: 'orders', subject: 'orders' });
    await expect(create()).rejects.toMatchObject({ details: expect.stringContaining('not authorized') });
    const told = async (text: string) => {
      await new Promise<void>((resolve) => {
        const look = () => broker.stderr.includes(text) && resolve();
        broker.child.stderr!.on('data', look);
        look();
      });
    };

    writeFileSync(policy, 'p, alice, orders\n');
    broker.child.kill('SIGHUP');
    await told('the previous access policy remains in use');
    await expect(create()).rejects.toMatchObject({ details: expect.stringContaining('not authorized') });

    writeFileSync(policy, 'p, alice, orders, CreateStream\n');
    broker.child.kill('SIGHUP');
    await told('read the access policy again');
    await expect(create()).resolves.toEqual({});
    await expect(unary(client, 'FetchMetadata', {})).rejects.toMatchObject({
      details: expect.stringContaining('not authorized'),
    });

    const without = run('--port', '0');
    await ready(without);
    without.child.kill('SIGHUP');
    expect(await without.ended).toEqual({ code: 0, signal: null });
  });

  test('prints one line and exits with code 2 for a bad certificate', async () => {
    const { server, client } = await certificates('alice');
    writeFileSync(join(folder, 'cert.pem'), server.cert);
    writeFileSync(join(folder, 'key.pem'), client.key);
    const args = ['--tls-cert', join(folder, 'cert.pem'), '--tls-key', join(folder, 'key.pem')];
    expect(await failed('--port', '0', ...args)).toMatch(
      /^liftbridge-test-broker: cannot use the TLS certificate and key: .*mismatch/,
    );
  });

  test('prints and exits for --help and --version', async () => {
    const help = run('--help');
    expect(await help.ended).toEqual({ code: 0, signal: null });
    expect(help.stdout).toMatch(/^Usage: liftbridge-test-broker \[options\]/);
    const version = run('--version');
    expect(await version.ended).toEqual({ code: 0, signal: null });
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
