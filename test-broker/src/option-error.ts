import { errorText, excerpt, quoted } from 'liftbridge-client/protocol';

/** Characters of a name at most for which a similar one is looked for: the search takes the square of them. */
const MAX_COMPARED_LENGTH = 100;

/** Why a broker does not start with what it was given: names the option, the value and what is allowed. */
export class BrokerOptionError extends TypeError {
  /** The name of the class. */
  override readonly name = 'BrokerOptionError';
  /** What kind of error it is. */
  readonly code = 'INVALID_OPTION';
  /** The option or setting at fault, such as `brokers` or `streams.retention.max.age`. */
  readonly option: string;
  /** What it was given. */
  readonly value: unknown;

  constructor(option: string, value: unknown, message: string, options?: ErrorOptions) {
    super(errorText(message), options);
    this.option = excerpt(option);
    this.value = value;
  }
}

/** The error for a value that is not what its option takes. */
export function wrongValue(option: string, expected: string, value: unknown): BrokerOptionError {
  return new BrokerOptionError(option, value, `expected ${option} to be ${expected}, got ${show(value)}`);
}

/** The error for a name that means nothing, with the nearest one that does. */
export function unknownName(what: string, name: string, value: unknown, known: readonly string[]): BrokerOptionError {
  const nearest = nearestName(name, known);
  const hint = nearest === null ? `known: ${known.join(', ')}` : `did you mean ${quoted(nearest)}?`;
  return new BrokerOptionError(name, value, `unknown ${what} ${quoted(name)}; ${hint}`);
}

function nearestName(name: string, known: readonly string[]): string | null {
  if (name.length > MAX_COMPARED_LENGTH) return null;
  const wanted = name.toLowerCase();
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  // Further away than half of the name it is no longer a likely slip.
  return bestDistance <= Math.max(2, wanted.length / 2) || known.length > 20 ? best : null;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}

/** A value as errors show it. It reads no property, so that nothing of the value can throw. */
export function show(value: unknown): string {
  if (typeof value === 'string') return `${quoted(value)} (string)`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return `${excerpt(String(value))} (${typeof value})`;
  if (value === null || value === undefined) return String(value);
  return isArray(value) ? 'an array' : `a ${typeof value}`;
}

function isArray(value: unknown): boolean {
  try {
    return Array.isArray(value);
  } catch {
    return false; // a revoked proxy
  }
}
