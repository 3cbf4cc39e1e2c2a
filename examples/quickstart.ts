/**
 * The tour: starts a cluster of three embedded brokers, publishes every line of a file to a partitioned and replicated
 * stream, stops a leader half-way, starts it again at three quarters, and reads everything back while that happens.
 *
 * Exit code 0 only if everything published was read back, once and in order; 2 for arguments that make no sense and a file
 * that cannot be read; 130 after Ctrl-C.
 */
const HELP = `npm run quickstart            publishes one event for each package of package-lock.json
npm run quickstart -- FILE    publishes every line of FILE, as bytes; - is standard input
npm run quickstart -- --help  shows this

It starts three brokers in this process, stops a leader half-way, starts it again, and compares what is read with what was
published. LIFTBRIDGE_ADDRESSES=host:port,... runs it on a real cluster instead, without stopping anything.
`;

const [argument, ...more] = process.argv.slice(2);
if (argument === '--help' || argument === '-h') process.stdout.write(HELP);
else if (more.length > 0 || (argument?.startsWith('-') && argument !== '-')) {
  console.error(`quickstart: expected one FILE, got ${process.argv.slice(2).join(' ')}. --help shows what it can do`);
  process.exitCode = 2;
} else {
  const given = process.env.LIFTBRIDGE_ADDRESSES;
  // Shown before the client and the broker are loaded, which takes a second where they are compiled first.
  console.log(given ? `Connecting to ${given} ...` : 'Starting three brokers in this process ...');
  const { run } = await import('./quickstart/tour.js');
  process.exitCode = await run(argument);
}
