import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Cost, Round } from './peer.js';

/** A peer in a process of its own, so that its CPU time is its own. */
export interface PeerProcess {
  readonly name: string;
  round(round: Round): Promise<Cost>;
  close(): Promise<void>;
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Starts a program of this folder that speaks by messages. */
export function start(path: string, args: readonly string[] = []): ChildProcess {
  return fork(here(path), args, { execArgv: ['--import', 'tsx'] });
}

/** Starts one of the peers in `peers/`. */
export function startPeer(name: string, address: string): PeerProcess {
  const child = start(`./peers/${name}.ts`, [address]);
  return {
    name,
    round(round) {
      child.send(round);
      return answer(child, name);
    },
    async close() {
      child.send('close');
      await once(child, 'exit');
    },
  };
}

function answer(child: ChildProcess, name: string): Promise<Cost> {
  return new Promise((resolve, reject) => {
    const died = (code: number | null): void =>
      reject(new Error(`${name} ended with code ${code} in the middle of a round`));
    child.once('exit', died);
    child.once('message', (cost) => {
      child.off('exit', died);
      resolve(cost as Cost);
    });
  });
}

/** gufo-liftbridge, where Python has it; null otherwise. */
export async function startGufo(address: string): Promise<PeerProcess | null> {
  if (spawnSync('python3', ['-c', 'import gufo.liftbridge.client']).status !== 0) return null;
  const child = spawn('python3', [here('./peers/gufo_liftbridge.py'), address], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: Interface = createInterface({ input: child.stdout });
  const answers = lines[Symbol.asyncIterator]();
  await answers.next();
  return {
    name: 'gufo-liftbridge',
    async round(round) {
      child.stdin.write(`${JSON.stringify(round)}\n`);
      const { done, value } = await answers.next();
      if (done) throw new Error('gufo-liftbridge ended in the middle of a round');
      return JSON.parse(value) as Cost;
    },
    async close() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}
