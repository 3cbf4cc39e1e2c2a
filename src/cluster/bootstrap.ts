import { backoffDelay } from '../async/backoff.js';
import { withDeadline } from '../async/deadline.js';
import { sleep } from '../async/sleep.js';
import { excerpt } from '../errors/quote.js';
import { ConnectionError, type ConnectionErrorReason, LiftbridgeError } from '../errors.js';
import type { ResolvedClientOptions } from '../options.js';
import { RpcFailure } from '../transport/status.js';
import type { BrokerConnection } from './broker-connection.js';
import { toError } from './failures.js';
import type { Prober } from './prober.js';
import { MIN_BOOTSTRAP_PAUSE_MS } from './timing.js';

/** Most characters of the reason why a seed failed. */
const MAX_REASON_LENGTH = 400;

/**
 * Tries all seeds at once, again and again until one answers, then runs `learn` with it. Rejects with a ConnectionError that
 * names every seed and its reason when `connectTimeout` is over, or when every seed refuses for good; with the reason of a
 * signal when that is aborted.
 */
export function bootstrap(
  seeds: readonly BrokerConnection[],
  prober: Prober,
  options: ResolvedClientOptions,
  { closed, signal: abort }: { readonly closed: AbortSignal; readonly signal: AbortSignal | undefined },
  learn: (seed: BrokerConnection) => Promise<unknown>,
): Promise<void> {
  const failures = new Map<BrokerConnection, LiftbridgeError>();
  const late = (): Error => noSeed(seeds, failures, options.connectTimeout);
  const bounds = { waiting: { signal: abort }, timeout: options.connectTimeout, closed, late };
  return withDeadline(bounds, async ({ signal }) => {
    const attempts = seeds.map((seed) => trySeed(seed, prober, options, failures, signal));
    const answering = await Promise.any(attempts).catch(() => {
      throw noSeed(seeds, failures);
    });
    await learn(answering);
  });
}

async function trySeed(
  seed: BrokerConnection,
  prober: Prober,
  { retry }: ResolvedClientOptions,
  failures: Map<BrokerConnection, LiftbridgeError>,
  signal: AbortSignal,
): Promise<BrokerConnection> {
  const { minDelay, maxDelay } = retry;
  for (let round = 1; ; round++) {
    try {
      await prober.probe(seed);
      return seed;
    } catch (failure) {
      const error = LiftbridgeError.from(toError('FetchMetadata', failure, { broker: seed.address }));
      failures.set(seed, error);
      if (!error.retryable) throw error;
    }
    const delay = backoffDelay(round, { first: minDelay, longest: Math.max(minDelay, maxDelay) });
    await sleep(Math.max(MIN_BOOTSTRAP_PAUSE_MS, delay), signal);
  }
}

function noSeed(
  seeds: readonly BrokerConnection[],
  failures: ReadonlyMap<BrokerConnection, LiftbridgeError>,
  timeout?: number,
): LiftbridgeError {
  const errors = [...failures.values()];
  const first = errors[0];
  // When every seed refuses for the same reason, such as bad credentials, the connection is not the problem.
  if (first !== undefined && errors.length === seeds.length && errors.every((error) => isRefusal(error, first)))
    return first;
  const reasons = seeds.map((seed) => reasonText(seed.address, failures.get(seed)));
  const reason = commonReason(seeds, failures);
  const within = timeout === undefined ? '' : ` within ${timeout} ms`;
  return new ConnectionError(`connect failed: no seed answered${within}. ${reasons.join('; ')}`, {
    operation: 'connect',
    reason,
    // Another service listens there, and will tomorrow: the port is wrong.
    ...(reason === 'protocol' && { retryable: false }),
    outcome: 'not-sent',
    ...(first === undefined
      ? {}
      : { cause: errors.length === 1 ? first : new AggregateError(errors, 'every seed failed') }),
  });
}

function isRefusal(error: LiftbridgeError, first: LiftbridgeError): boolean {
  return !(error instanceof ConnectionError) && error.code === first.code && error.code !== 'TIMEOUT';
}

/** The reason that all seeds share, 'timeout' when one did not answer at all, 'no-broker' when they differ. */
function commonReason(
  seeds: readonly BrokerConnection[],
  failures: ReadonlyMap<BrokerConnection, LiftbridgeError>,
): ConnectionErrorReason {
  const reasons = new Set(seeds.map((seed) => reasonOf(failures.get(seed))));
  const [only] = reasons;
  return reasons.size === 1 && only !== undefined ? only : 'no-broker';
}

function reasonOf(error: LiftbridgeError | undefined): ConnectionErrorReason {
  if (error === undefined) return 'timeout';
  return error instanceof ConnectionError ? error.reason : 'timeout';
}

/** "host:port: reason", in the words of the transport when it failed there. */
function reasonText(address: string, error: LiftbridgeError | undefined): string {
  if (error === undefined) return `${address}: no answer yet`;
  const text = excerpt(error.cause instanceof RpcFailure ? error.cause.details : error.message, MAX_REASON_LENGTH);
  return text.startsWith(`${address}: `) ? text : `${address}: ${text}`;
}
