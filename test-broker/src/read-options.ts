import { types } from 'node:util';
import { messageOf } from 'liftbridge-client/protocol';
import { BrokerOptionError, unknownName, wrongValue } from './option-error.js';

/** Greatest depth of nested objects. */
const MAX_DEPTH = 16;
/** Greatest number of entries in all objects and arrays together. */
const MAX_ENTRIES = 100_000;

const memoryOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'buffer')!.get!;
const offsetOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'byteOffset')!.get!;
const sizeOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'byteLength')!.get!;

/**
 * Copies an object of options once, so that the checked values are the used ones: getters, proxies and classes of the
 * caller run only here. Throws BrokerOptionError, with the cause, when the object cannot be read, and for a name that
 * is not among `names`. `prefix` precedes the names of the parts in errors.
 */
export function readOptions<T extends object>(
  option: string,
  options: unknown,
  names?: readonly (keyof T & string)[],
  prefix = '',
): T {
  if (typeof options !== 'object' || options === null) throw wrongValue(option, 'an object', options);
  const record = new Reading(prefix).read(option, options) as Record<string, unknown>;
  if (Array.isArray(record) || record instanceof Uint8Array) throw wrongValue(option, 'an object', options);
  if (names !== undefined) checkNames(record, names, prefix);
  return record as T;
}

function checkNames(record: Record<string, unknown>, names: readonly string[], prefix: string): void {
  for (const [name, value] of Object.entries(record)) {
    if (names.includes(name)) continue;
    const known = names.map((candidate) => prefix + candidate);
    throw unknownName('option', prefix + name, value, known);
  }
}

/** Copies one value with all that it holds. */
class Reading {
  readonly #prefix: string;
  #left = MAX_ENTRIES;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  read(option: string, value: unknown, depth = 0): unknown {
    if (typeof value !== 'object' || value === null) return value;
    if (depth > MAX_DEPTH) throw wrongValue(option, `nested at most ${MAX_DEPTH} levels deep`, value);
    const entries = guarded(option, value, () => entriesOf(value));
    if (!Array.isArray(entries)) return entries;
    this.#left -= entries.length;
    if (this.#left < 0) throw wrongValue(option, `of at most ${MAX_ENTRIES} entries`, value);
    const isList = guarded(option, value, () => Array.isArray(value));
    const copy: unknown[] | Record<string, unknown> = isList ? [] : Object.create(null);
    for (const name of entries) {
      const before = depth === 0 ? this.#prefix : `${option}.`;
      const path = isList ? `${option}[${name}]` : before + name;
      const part = guarded(path, value, () => (value as Record<string, unknown>)[name]);
      (copy as Record<string, unknown>)[name] = this.read(path, part, depth + 1);
    }
    return copy;
  }
}

/** The names of the entries of an object or array; for bytes a copy of them. */
function entriesOf(value: object): string[] | Uint8Array {
  if (types.isUint8Array(value)) {
    const memory = memoryOf.call(value) as ArrayBuffer;
    return new Uint8Array(new Uint8Array(memory, offsetOf.call(value) as number, sizeOf.call(value) as number));
  }
  if (!Array.isArray(value)) return [...new Set([...Object.keys(value), ...inheritedNames(value)])];
  const { length } = value;
  if (length > MAX_ENTRIES) throw new RangeError(`it has ${length} entries, more than ${MAX_ENTRIES}`);
  return Array.from({ length }, (_, index) => String(index));
}

/** Getters and values that the class of an object defines. */
function inheritedNames(value: object): string[] {
  const names: string[] = [];
  for (
    let prototype: object | null = Object.getPrototypeOf(value) as object | null, depth = 0;
    prototype !== null && Object.getPrototypeOf(prototype) !== null && depth < MAX_DEPTH;
    prototype = Object.getPrototypeOf(prototype) as object | null, depth++
  ) {
    for (const [name, { get, value: own }] of Object.entries(Object.getOwnPropertyDescriptors(prototype)))
      if (get !== undefined || (own !== undefined && typeof own !== 'function')) names.push(name);
  }
  return names;
}

function guarded<T>(option: string, value: unknown, look: () => T): T {
  try {
    return look();
  } catch (cause) {
    const text = `${option} cannot be read, looking at it threw: ${messageOf(cause)}`;
    throw new BrokerOptionError(option, value, text, { cause });
  }
}
