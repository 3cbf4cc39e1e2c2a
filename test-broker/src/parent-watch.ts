import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { clearInterval, setInterval } from './timers.js';

const CHECK_INTERVAL_MS = 250;
const SHELL = /^-?(?:.*\/)?(?:sh|dash|bash|zsh|ash|ksh|fish)$/;
/** Environment variables that npm, npx, pnpm and yarn set for the processes that they start. */
const STARTERS = ['npm_command', 'npm_lifecycle_event', 'npm_execpath', 'npm_config_user_agent'];

/** Whether a package manager started this process: `npx liftbridge-test-broker`, `npm run broker`. */
export function startedByPackageManager(env: NodeJS.ProcessEnv): boolean {
  return STARTERS.some((name) => env[name] !== undefined);
}

/**
 * Calls back once when the process that started this one has ended. A package manager starts commands through a shell,
 * which may outlive it: in that case the process that started the shell counts too. Returns a function that ends the
 * watch.
 */
export function watchParent(gone: () => void): () => void {
  const parent = process.ppid;
  const starter = isShell(parent) ? parentOf(parent) : null;
  // Real time: the watched processes do not use the broker's clock.
  const timer = setInterval(() => {
    if (process.ppid === parent && isAlive(parent) && (starter === null || parentOf(parent) === starter)) return;
    clearInterval(timer);
    gone();
  }, CHECK_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Some systems give orphans no other parent: the process id stays although the process has ended. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function isShell(pid: number): boolean {
  const name = process.platform === 'linux' ? procFile(pid, 'comm') : ps(pid, 'comm');
  return name !== null && SHELL.test(name.trim());
}

/** The parent of a process; null when it has ended or the system does not tell. */
function parentOf(pid: number): number | null {
  if (process.platform !== 'linux') return toPid(ps(pid, 'ppid'));
  // The name of the command is in parentheses and may hold any character; the state and the parent follow it.
  const stat = procFile(pid, 'stat');
  return stat === null
    ? null
    : toPid(
        stat
          .slice(stat.lastIndexOf(')') + 1)
          .trim()
          .split(' ')[1],
      );
}

function toPid(text: string | null | undefined): number | null {
  const pid = Number(text?.trim());
  return Number.isInteger(pid) && pid > 0 ? pid : null;
}

function procFile(pid: number, name: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return null;
  }
}

function ps(pid: number, column: string): string | null {
  if (process.platform === 'win32') return null;
  try {
    return execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' });
  } catch {
    return null;
  }
}
