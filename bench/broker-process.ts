/** A broker, or a cluster, in a process of its own, that tells its parent what it costs. Options come as JSON. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { TestBroker, type TestBrokerOptions } from 'liftbridge-test-broker';

/** What the parent asks. */
export type Question = { readonly ask: 'cpu' | 'memory' } | { readonly ask: 'leader'; readonly stream: string };

/** Bytes, after garbage collection. */
export interface Memory {
  readonly heap: number;
  /** Outside of the heap: buffers. */
  readonly external: number;
  /** Of the whole process, as the system sees it. */
  readonly resident: number;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function memory(): Memory {
  collect();
  const { heapUsed: heap, external, rss: resident } = process.memoryUsage();
  return { heap, external, resident };
}

function cpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

const broker = await TestBroker.start(JSON.parse(process.argv[2] ?? '{}') as TestBrokerOptions);
process.on('message', (question: Question) => {
  if (question.ask === 'leader') process.send!(broker.leaderOf(question.stream));
  else process.send!(question.ask === 'cpu' ? cpu() : memory());
});
// Closed, nothing keeps the process: it ends by itself, and `--cpu-prof` gets to write its profile.
process.on('disconnect', () => void broker.close());
process.send!(broker.addresses);
