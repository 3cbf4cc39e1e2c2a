import { headerName } from './names.js';
import { checkOptions, checkValue, type Rule, type Shape } from './validate.js';

const MAX_TIMER = 2 ** 31 - 1;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

/** A whole number from `min` to `max`, both included. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER): Rule {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return {
    expected: `a whole number ${range}`,
    accepts: (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  };
}

/** Milliseconds, as a number that a timer can take. Fractions are allowed. */
export function milliseconds(min: number, max = MAX_TIMER): Rule {
  return {
    expected: `a number of milliseconds from ${min} to ${max}`,
    accepts: (value) => typeof value === 'number' && value >= min && value <= max,
  };
}

/** A 64-bit integer, as a bigint or as a number that is exact. */
export function int64(min: bigint = MIN_INT64): Rule {
  return {
    expected:
      min === MIN_INT64 ? 'a 64-bit integer (bigint or number)' : `an integer of at least ${min} (bigint or number)`,
    accepts: (value) => {
      if (typeof value === 'number') return Number.isSafeInteger(value) && BigInt(value) >= min;
      return typeof value === 'bigint' && value >= min && value <= MAX_INT64;
    },
  };
}

/** One of the given strings. */
export function oneOf(...allowed: readonly string[]): Rule {
  return {
    expected: `one of ${allowed.map((value) => `'${value}'`).join(', ')}`,
    accepts: (value) => typeof value === 'string' && allowed.includes(value),
  };
}

/** True when any of the rules accepts the value. */
export function either(...rules: readonly Rule[]): Rule {
  return {
    expected: rules.map((rule) => rule.expected).join(' or '),
    accepts: (value) => rules.some((rule) => rule.accepts(value)),
    inside: (where, name, value) => rules.find((rule) => rule.accepts(value))?.inside?.(where, name, value),
  };
}

/** An array whose every entry obeys the rule. */
export function arrayOf(rule: Rule): Rule {
  return {
    expected: `an array, each entry ${rule.expected}`,
    accepts: Array.isArray,
    inside: (where, name, value) => {
      for (const [index, entry] of (value as unknown[]).entries()) checkValue(where, `${name}[${index}]`, entry, rule);
    },
  };
}

/** An object with options of its own, checked by their shape. */
export function group<Options>(shape: Shape<Options>): Rule {
  return {
    expected: `an object with ${Object.keys(shape).join(', ')}`,
    accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    inside: (where, name, value) => checkOptions(where, value, shape, name),
  };
}

/** An object whose every value obeys the rule, whatever the names. */
export function recordOf(rule: Rule): Rule {
  return {
    expected: `an object, each value ${rule.expected}`,
    accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    inside: (where, name, value) => {
      for (const [key, entry] of Object.entries(value as object)) checkValue(where, `${name}.${key}`, entry, rule);
    },
  };
}

/** The headers of a message. A Map or an array would pass for an object without headers, and lose them. */
export const headers: Rule = {
  expected: 'an object, each value a string or a Uint8Array',
  accepts: (value) => typeof value === 'object' && value !== null && !(Symbol.iterator in value),
  inside: (where, option, value) => {
    for (const [name, entry] of Object.entries(value as object)) {
      checkValue(where, `each name in ${option}`, name, headerName);
      checkValue(where, `${option}.${name}`, entry, bytes);
    }
  },
};

/** Any string, the empty one too. */
export const text: Rule = { expected: 'a string', accepts: (value) => typeof value === 'string' };

/** A string of at least one character. */
export const name: Rule = {
  expected: 'a non-empty string',
  accepts: (value) => typeof value === 'string' && value !== '',
};

/** True or false. */
export const flag: Rule = { expected: 'true or false', accepts: (value) => typeof value === 'boolean' };

/** A function. */
export const callback: Rule = { expected: 'a function', accepts: (value) => typeof value === 'function' };

/** A string or bytes. */
export const bytes: Rule = {
  expected: 'a string or a Uint8Array',
  accepts: (value) => typeof value === 'string' || value instanceof Uint8Array,
};

/** A string, bytes or null: the value of a message. */
export const payload: Rule = {
  expected: 'a string, a Uint8Array or null',
  accepts: (value) => value === null || bytes.accepts(value),
};

/** An AbortSignal, also one of another realm or library. */
export const signal: Rule = {
  expected: 'an AbortSignal',
  accepts: (value) => typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value,
};

/** The id of a partition. */
export const partitionId: Rule = integer(0, 2 ** 31 - 1);
