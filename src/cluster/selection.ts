import type { ServerSelection } from '../options.js';

/** A broker, as the choice between brokers sees it. */
export interface Candidate {
  /** Broker id, the address until it is known. */
  readonly id: string;
  readonly address: string;
  /** False while it does not answer; null as long as no call has tried. */
  readonly up: boolean | null;
  /** True while it owes the answer to a call that ran out of time a moment ago. */
  readonly suspect: boolean;
  /** Smoothed round trip in milliseconds, null until measured. */
  readonly latency: number | null;
  /** Partitions that it leads and holds, as the cluster counts them. */
  readonly load: number;
  /** Calls of this client that it has not answered yet. */
  readonly inFlight: number;
}

/**
 * Chooses a broker for a call that any of them may serve. Brokers whose id or address is in `except`, and brokers that do not answer are only
 * chosen when no other is left, in that order; so are those that left a call unanswered a moment ago. Undefined when there is no candidate at all.
 */
export function chooseBroker<Broker extends Candidate>(
  candidates: readonly Broker[],
  selection: ServerSelection,
  except: ReadonlySet<string> = new Set(),
  random: () => number = Math.random,
): Broker | undefined {
  const fresh = preferring(candidates, ({ id, address }) => !except.has(id) && !except.has(address));
  const alive = preferring(fresh, ({ up }) => up !== false);
  const trusted = preferring(alive, ({ suspect }) => !suspect);
  return oneOf(best(trusted, selection), random);
}

/** Those that pass the test; all of them when none does. */
function preferring<Broker>(brokers: readonly Broker[], test: (broker: Broker) => boolean): readonly Broker[] {
  const passed = brokers.filter(test);
  return passed.length > 0 ? passed : brokers;
}

function best<Broker extends Candidate>(brokers: readonly Broker[], selection: ServerSelection): readonly Broker[] {
  switch (selection) {
    case 'latency':
      return least(brokers, ({ latency }) => latency ?? Number.POSITIVE_INFINITY);
    case 'workload':
      return least(
        least(brokers, ({ load }) => load),
        ({ inFlight }) => inFlight,
      );
    default:
      return brokers;
  }
}

function least<Broker>(brokers: readonly Broker[], measure: (broker: Broker) => number): readonly Broker[] {
  const smallest = Math.min(...brokers.map(measure));
  return brokers.filter((broker) => measure(broker) === smallest);
}

function oneOf<Broker>(brokers: readonly Broker[], random: () => number): Broker | undefined {
  return brokers[Math.floor(random() * brokers.length)];
}
