import { type ChildProcess, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { endProcess, startProcess } from '../../../test/support/child-process.js';

/** Path of the real nats-server, null where none is installed. */
export const NATS_SERVER: string | null = findServer();

function findServer(): string | null {
  const found = spawnSync('nats-server', ['--version']);
  if (found.status === 0) return 'nats-server';
  return existsSync('/usr/sbin/nats-server') ? '/usr/sbin/nats-server' : null;
}

/** A real NATS server. It chooses a free port unless the arguments set one. */
export class RealNatsServer {
  readonly #process: ChildProcess;

  static async start(port = -1, options: readonly string[] = []): Promise<RealNatsServer> {
    if (NATS_SERVER === null) throw new Error('nats-server is not installed');
    const child = startProcess(NATS_SERVER, ['-a', '127.0.0.1', '-p', String(port), ...options], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let listening: number | null = null;
    const said: string[] = [];
    for await (const line of createInterface({ input: child.stderr! })) {
      said.push(line);
      listening ??= Number(/Listening for client connections on \S+:(\d+)/.exec(line)?.[1]) || null;
      if (line.includes('Server is ready')) break;
    }
    if (listening === null) throw new Error(`nats-server did not start: ${said.join('\n')}`);
    child.stderr!.resume();
    return new RealNatsServer(child, listening);
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
    await endProcess(this.#process);
  }
}
