import type { ChildProcess } from 'node:child_process';
import { accessSync, constants, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import * as transportNode from '@nats-io/transport-node';
import type { NatsConnection } from 'liftbridge-client/nats';
import * as nats from 'nats';
import { NatsListener } from '../../test-broker/src/nats/listener.js';
import { MemoryBus } from '../../test-broker/src/nats/memory-bus.js';
import { endProcess, startProcess } from '../support/child-process.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** A NATS server for one test file. */
export interface RunningServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** The part of a connection that the tests use, for both packages. */
export interface TestConnection extends NatsConnection {
  publish(subject: string, data: Uint8Array | string, options?: { reply?: string }): void;
  subscribe(
    subject: string,
    options: { callback: (error: Error | null, message: TestMessage) => void },
  ): { unsubscribe(): void };
  close(): Promise<void>;
  drain(): Promise<void>;
}

interface TestMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply?: string | undefined;
}

interface ConnectOptions {
  readonly servers: string;
  readonly user?: string;
  readonly pass?: string;
  readonly inboxPrefix?: string;
  readonly reconnect?: boolean;
  readonly reconnectTimeWait?: number;
}

/** The two packages that the publisher supports. */
export const packages: readonly [string, (options: ConnectOptions) => Promise<TestConnection>][] = [
  ['nats 2.x', (options) => nats.connect(options)],
  ['@nats-io/transport-node 3.x', (options) => transportNode.connect(options)],
];

/** The path of an installed nats-server, or null. */
export const natsServerPath: string | null = findServer();

function findServer(): string | null {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin']) {
    const path = join(folder, 'nats-server');
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder: try the next one.
    }
  }
  return null;
}

/** The NATS listener of the test broker, without a broker. */
export async function startListener(): Promise<RunningServer> {
  const bus = new MemoryBus();
  const listener = await NatsListener.start({ bus });
  return {
    url: listener.url,
    stop: async () => {
      await listener.close();
      await bus.close();
    },
  };
}

/** A real server on the given port or a free one, with additional configuration in its own syntax. */
export async function startNatsServer(configuration = '', fixedPort = -1): Promise<RunningServer> {
  if (natsServerPath === null) throw new Error('nats-server is not installed');
  const file = join(temporaryDirectory(), 'nats.conf');
  writeFileSync(file, `listen: 127.0.0.1:${fixedPort}\n${configuration}\n`);
  const child = startProcess(natsServerPath, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  const port = await listening(child);
  return {
    url: `nats://127.0.0.1:${port}`,
    stop: () => endProcess(child),
  };
}

function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let log = '';
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`nats-server ended with ${code}: ${log}`)));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      const port = /Listening for client connections on \S+:(\d+)/.exec(log)?.[1];
      if (port !== undefined && log.includes('Server is ready')) resolve(port);
    });
  });
}
