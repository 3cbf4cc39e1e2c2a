#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { errorText } from 'liftbridge-client/protocol';
import { TestBroker } from './broker.js';
import { parseCommandLine, USAGE } from './cli-options.js';
import { resolveOptions, type TestBrokerOptions } from './options.js';
import { startedByPackageManager, watchParent } from './parent-watch.js';

const NAME = 'liftbridge-test-broker';
/** The broker did not start, because of the command line or the machine. */
const EXIT_NOT_STARTED = 2;
const EXIT_FORCED = 1;
/** Seconds within which several signals count as one. */
const DUPLICATE_SIGNAL_SECONDS = 0.5;

/** Node's own listener prints warnings with a process number and a hint; this one prints one line each, or none. */
function takeWarnings(quiet: boolean): void {
  process.removeAllListeners('warning');
  if (!quiet) process.on('warning', (warning) => say(`warning: ${warning.message}`));
}

function say(line: string): void {
  process.stderr.write(`${NAME}: ${errorText(line.replace(/\s*\n\s*/g, ' '))}\n`);
}

function version(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

async function start(options: TestBrokerOptions, quiet: boolean): Promise<void> {
  const { inert, settings } = resolveOptions(options);
  if (inert.length > 0 && !quiet) say(`settings without effect here: ${inert.join(', ')}`);
  let close = (): void => process.exit(0);
  if (startedByPackageManager(process.env)) watchParent(() => close());
  const broker = await TestBroker.start(options);
  close = closing(broker);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => close());
  process.on('SIGHUP', () => {
    if (settings['tls.client.authz.enabled']) reloadPolicy(broker, quiet);
    else close();
  });
  const nats = broker.natsUrl === null ? '' : ` nats=${broker.natsUrl}`;
  process.stdout.write(`ready grpc=${broker.addresses.join(',')}${nats}\n`);
}

/** Closes the broker and ends the process. A second call, from a user who does not want to wait, ends it at once. */
function closing(broker: TestBroker): () => void {
  let since: number | null = null;
  return () => {
    if (since !== null) {
      // npm forwards the signal of a terminal to a process that already has it, and then ends itself.
      if (process.uptime() - since > DUPLICATE_SIGNAL_SECONDS) process.exit(EXIT_FORCED);
      return;
    }
    since = process.uptime();
    broker.close().then(
      () => process.exit(0),
      (error: unknown) => {
        say(`closing failed: ${reasonOf(error)}`);
        process.exit(EXIT_FORCED);
      },
    );
  };
}

function reloadPolicy(broker: TestBroker, quiet: boolean): void {
  try {
    broker.reloadAccessPolicy();
    if (!quiet) say('read the access policy again');
  } catch (error) {
    say(`${reasonOf(error)}; the previous access policy remains in use`);
  }
}

/** The reason in one line, for errors that a user can cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, port, address } = error as NodeJS.ErrnoException & { port?: number; address?: string };
  if (code === 'EADDRINUSE') return `port ${port} of ${address} is in use`;
  if (code === 'EACCES' && port !== undefined) return `port ${port} of ${address} may not be bound: permission denied`;
  if (code === 'EADDRNOTAVAIL') return `${address} is not an address of this machine`;
  return error.message || error.name;
}

async function main(args: readonly string[]): Promise<void> {
  const command = parseCommandLine(args);
  if (command.kind === 'help') process.stdout.write(USAGE);
  else if (command.kind === 'version') process.stdout.write(`${version()}\n`);
  else {
    takeWarnings(command.quiet);
    await start(command.options, command.quiet);
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  say(reasonOf(error));
  process.exit(EXIT_NOT_STARTED);
});
