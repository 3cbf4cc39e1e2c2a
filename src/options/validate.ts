import { InvalidArgumentError } from '../errors/call-errors.js';

/** What one option may be. `undefined` always stands for "not set" and is not asked about. */
export interface Rule {
  /** Completes "expected X to be ...". */
  readonly expected: string;
  accepts(value: unknown): boolean;
  /** What exactly is wrong with a value that is not accepted: "it has a space". Null when `expected` says it all. */
  fault?(value: unknown): string | null;
  /** Looks further into a value that was accepted, and throws. */
  inside?(where: string, name: string, value: unknown): void;
}

/** One rule for every option of a call, no more and no less. */
export type Shape<Options> = { readonly [Name in keyof Required<Options>]: Rule };

/** Throws InvalidArgumentError unless `value` obeys the rule: "publish: expected timeout to be ..., got -1 (number)". */
export function checkValue(where: string, name: string, value: unknown, rule: Rule): void {
  if (!rule.accepts(value)) {
    const fault = rule.fault?.(value) ?? null;
    throw new InvalidArgumentError(
      `${where}: expected ${name} to be ${rule.expected}, got ${describe(value)}${fault === null ? '' : `: ${fault}`}`,
      { operation: where },
    );
  }
  rule.inside?.(where, name, value);
}

/** Throws InvalidArgumentError unless every option is known and obeys its rule. `prefix` names what `options` is itself. */
export function checkOptions<Options>(where: string, options: unknown, shape: Shape<Options>, prefix = ''): void {
  if (options === undefined) return;
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new InvalidArgumentError(
      `${where}: expected ${prefix || 'options'} to be an object, got ${describe(options)}`,
    );
  for (const [name, value] of Object.entries(options)) {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    if (!Object.hasOwn(shape, name)) throw unknownOption(where, path, value, Object.keys(shape));
    if (value !== undefined) checkValue(where, path, value, shape[name as keyof Shape<Options>]);
  }
}

function unknownOption(where: string, name: string, value: unknown, known: readonly string[]): InvalidArgumentError {
  return new InvalidArgumentError(
    `${where}: unknown option ${name}, got ${describe(value)}; the options are ${known.join(', ')}`,
    { operation: where },
  );
}

/** A value and its type as error texts show them: `"abc" (string)`, `-1 (number)`, `an array of 2 (object)`. */
export function describe(value: unknown): string {
  return `${shown(value)} (${value === null ? 'null' : typeof value})`;
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === 'function') return value.name === '' ? 'a function' : `function ${value.name}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value === 'object' && value !== null) return `an instance of ${value.constructor?.name ?? 'nothing'}`;
  return String(value);
}
