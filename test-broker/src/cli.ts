#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { TestBroker } from './broker.js';
import { parseCommandLine, USAGE } from './cli-options.js';
import { resolveOptions, type TestBrokerOptions } from './options.js';

const NAME = 'liftbridge-test-broker';
/** The broker was not started, for a reason that the command line or the machine has to answer for. */
const EXIT_NOT_STARTED = 2;
const EXIT_FORCED = 1;

/** Node's own listener prints warnings with a process number and a hint; here they are one line each, or none. */
function takeWarnings(quiet: boolean): void {
  process.removeAllListeners('warning');
  if (!quiet) process.on('warning', (warning) => say(`warning: ${warning.message}`));
}

function say(line: string): void {
  process.stderr.write(`${NAME}: ${line.replace(/\s*\n\s*/g, ' ')}\n`);
}

function version(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

async function start(options: TestBrokerOptions, quiet: boolean): Promise<void> {
  const { inert } = resolveOptions(options);
  if (inert.length > 0 && !quiet) say(`settings without effect here: ${inert.join(', ')}`);
  const broker = await TestBroker.start(options);
  closeOnSignals(broker);
  const nats = broker.natsUrl === null ? '' : ` nats=${broker.natsUrl}`;
  process.stdout.write(`ready grpc=${broker.addresses.join(',')}${nats}\n`);
}

function closeOnSignals(broker: TestBroker): void {
  let closing = false;
  const close = () => {
    // Who asks twice does not want to wait.
    if (closing) process.exit(EXIT_FORCED);
    closing = true;
    broker.close().then(
      () => process.exit(0),
      (error: unknown) => {
        say(`closing failed: ${reasonOf(error)}`);
        process.exit(EXIT_FORCED);
      },
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, close);
}

/** One line that says why, for the errors that a user can cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, port, address } = error as NodeJS.ErrnoException & { port?: number; address?: string };
  if (code === 'EADDRINUSE') return `port ${port} of ${address} is in use`;
  if (code === 'EACCES' && port !== undefined) return `port ${port} of ${address} may not be bound: permission denied`;
  if (code === 'EADDRNOTAVAIL') return `${address} is no address of this machine`;
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
