import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** Path of the real nats-server, null where none is installed. */
export const NATS_SERVER: string | null = findServer();

function findServer(): string | null {
  const found = spawnSync('nats-server', ['--version']);
  if (found.status === 0) return 'nats-server';
  return existsSync('/usr/sbin/nats-server') ? '/usr/sbin/nats-server' : null;
}

/** A free TCP port of the loopback interface. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
  return address.port;
}

/** A real NATS server on a free port. */
export class RealNatsServer {
  readonly #process: ChildProcess;

  static async start(port?: number, options: readonly string[] = []): Promise<RealNatsServer> {
    if (NATS_SERVER === null) throw new Error('nats-server is not installed');
    const chosen = port ?? (await freePort());
    const child = spawn(NATS_SERVER, ['-a', '127.0.0.1', '-p', String(chosen), ...options], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    for await (const line of createInterface({ input: child.stderr })) {
      if (line.includes('Server is ready')) break;
    }
    if (child.exitCode !== null) throw new Error('nats-server did not start');
    child.stderr.resume();
    return new RealNatsServer(child, chosen);
  }

  private constructor(
    child: ChildProcess,
    readonly port: number,
  ) {
    this.#process = child;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
  }
}
