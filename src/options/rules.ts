import { types } from 'node:util';
import { headerName, wellFormedText } from './names.js';
import {
  accepts,
  checkValue,
  plainRecord,
  type Rule,
  readOptions,
  readProperty,
  readValue,
  refused,
  type Shape,
  unreadable,
} from './validate.js';

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
    read: (where, name, value) => {
      for (const rule of rules) if (accepts(where, name, value, rule)) return readValue(where, name, value, rule);
      throw refused(where, name, value, either(...rules));
    },
  };
}

/** An array whose every entry obeys the rule. */
export function arrayOf(rule: Rule): Rule {
  return {
    expected: `an array, each entry ${rule.expected}`,
    accepts: Array.isArray,
    read: (where, name, value) => {
      const entries: unknown[] = [];
      const length = readProperty(where, name, value as object, 'length') as number;
      for (let index = 0; index < length; index++) {
        const path = `${name}[${index}]`;
        entries.push(readValue(where, path, readProperty(where, path, value as object, index), rule));
      }
      return entries;
    },
  };
}

/** An object with options of its own, checked by their shape. */
export function group<Options extends object>(shape: Shape<Options>): Rule {
  return {
    expected: `an object with ${Object.keys(shape).join(', ')}`,
    accepts: isRecord,
    read: (where, name, value) => readOptions(where, value, shape, name),
  };
}

/** An object whose every value obeys the rule, whatever the names. */
export function recordOf(rule: Rule): Rule {
  return {
    expected: `an object, each value ${rule.expected}`,
    accepts: isRecord,
    read: (where, name, value) => readEntries(where, name, value as object, rule),
  };
}

/** The headers of a message. */
export const headers: Rule = {
  expected: 'an object, each value a string or a Uint8Array',
  accepts: isRecord,
  read: (where, option, value) => readEntries(where, option, value as object, bytes, headerName),
};

/** A Map or an array would pass for an object without entries, and lose them. */
function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !(Symbol.iterator in value);
}

function readEntries(where: string, option: string, value: object, rule: Rule, nameRule?: Rule): object {
  const record = plainRecord();
  for (const name of namesOf(where, option, value)) {
    if (nameRule !== undefined) checkValue(where, `each name in ${option}`, name, nameRule);
    const path = `${option}.${name}`;
    record[name] = readValue(where, path, readProperty(where, path, value, name), rule);
  }
  return record;
}

function namesOf(where: string, option: string, value: object): string[] {
  try {
    return Object.keys(value);
  } catch (cause) {
    throw unreadable(where, option, cause);
  }
}

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

/** A string or bytes. Bytes whose memory was transferred away would be sent as none. */
export const bytes: Rule = {
  expected: 'a string or a Uint8Array',
  accepts: (value) => typeof value === 'string' || (types.isUint8Array(value) && !isDetached(value)),
  fault: (value) => (types.isUint8Array(value) ? 'its memory was transferred to another owner' : null),
};

/** Whether the memory of the bytes was transferred away, so that there are none any more. */
export function isDetached(value: Uint8Array): boolean {
  if (value.byteLength > 0) return false;
  try {
    new Uint8Array(value.buffer);
    return false;
  } catch {
    return true;
  }
}

/** A string, bytes or null: the value of a message. */
export const payload: Rule = {
  expected: 'a string, a Uint8Array or null',
  accepts: (value) => value === null || bytes.accepts(value),
  fault: (value) => bytes.fault!(value),
};

/** The key of a message: keys that differ must not become one, since compaction and partitions go by them. */
export const messageKey: Rule = {
  expected: 'a string without half of a surrogate pair, a Uint8Array or null',
  accepts: (value) => (typeof value === 'string' ? wellFormedText : payload).accepts(value),
  fault: (value) => (typeof value === 'string' ? wellFormedText : payload).fault!(value),
};

/** An AbortSignal, also one of another realm or library. */
export const signal: Rule = {
  expected: 'an AbortSignal',
  accepts: (value) => {
    if (typeof value !== 'object' || value === null) return false;
    const { aborted, addEventListener, removeEventListener, throwIfAborted } = value as Partial<AbortSignal>;
    const methods = [addEventListener, removeEventListener, throwIfAborted];
    return typeof aborted === 'boolean' && methods.every((method) => typeof method === 'function');
  },
  inside: (where, name, value) => {
    try {
      if (Object.getPrototypeOf(value) !== AbortSignal.prototype) tryOut(value as AbortSignal);
    } catch (cause) {
      throw unreadable(where, name, cause);
    }
  },
};

/** Uses a signal that is not of this realm as it will be used later, where no caller could be told what it throws. */
function tryOut(foreign: AbortSignal): void {
  const listener = (): void => undefined;
  foreign.addEventListener('abort', listener, { once: true });
  foreign.removeEventListener('abort', listener);
  void foreign.reason;
}

/** The id of a partition. */
export const partitionId: Rule = integer(0, 2 ** 31 - 1);
