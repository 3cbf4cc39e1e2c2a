import { errorText, excerpt, quoted } from 'liftbridge-client/protocol';

/** Longest name that is compared with the known ones: the search takes the square of its length. */
const MAX_COMPARED_LENGTH = 100;

/** The error for an invalid option of a broker. It names the option, the value and the allowed values. */
export class BrokerOptionError extends TypeError {
  /** The name of the class. */
  override readonly name = 'BrokerOptionError';
  /** Machine-readable code of the error. */
  readonly code = 'INVALID_OPTION';
  /** The invalid option or setting, such as `brokers` or `streams.retention.max.age`. */
  readonly option: string;
  /** The invalid value. */
  readonly value: unknown;

  constructor(option: string, value: unknown, message: string, options?: ErrorOptions) {
    super(errorText(message), options);
    this.option = excerpt(option);
    this.value = value;
  }
}

/** The error for a value that its option does not accept. */
export function wrongValue(option: string, expected: string, value: unknown): BrokerOptionError {
  return new BrokerOptionError(option, value, `expected ${option} to be ${expected}, got ${show(value)}`);
}

/** The error for an unknown name, with the nearest known one. */
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
  // A name that differs in more than half of its characters is hardly a typing error.
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

/** A value in the form of error texts. It reads no property, so that the value cannot throw. */
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
