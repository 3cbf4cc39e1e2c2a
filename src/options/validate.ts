import { types } from 'node:util';
import { InvalidArgumentError } from '../errors/error-classes.js';
import { excerpt, messageOf, quoted } from '../errors/quote.js';

/** What one option may be. `undefined` always stands for "not set" and is not asked about. */
export interface Rule {
  /** Completes "expected X to be ...". */
  readonly expected: string;
  accepts(value: unknown): boolean;
  /** What exactly is wrong with a value that is not accepted: "it has a space". Null when `expected` says it all. */
  fault?(value: unknown): string | null;
  /** Reads a value that was accepted and has parts of its own: answers a copy whose parts obey their rules, or throws. */
  read?(where: string, name: string, value: unknown): unknown;
  /** Looks further into what was read, and throws. */
  inside?(where: string, name: string, value: unknown): void;
}

/** One rule for every option of a call, no more and no less. */
export type Shape<Options> = { readonly [Name in keyof Required<Options>]: Rule };

/** What options and other objects are read into: nothing is inherited, so that nothing can be slipped in. */
const PlainRecord = function PlainRecord() {} as unknown as new () => Record<string, unknown>;
PlainRecord.prototype = Object.create(null);

const NOTHING: object = Object.freeze(new PlainRecord());

/** An empty record without a prototype that leads to `Object.prototype`. */
export function plainRecord(): Record<string, unknown> {
  return new PlainRecord();
}

/** Throws InvalidArgumentError unless `value` obeys the rule: "publish: expected timeout to be ..., got -1 (number)". */
export function checkValue(where: string, name: string, value: unknown, rule: Rule): void {
  readValue(where, name, value, rule);
}

/** The same; answers the value, or a copy of one that has parts of its own. */
export function readValue(where: string, name: string, value: unknown, rule: Rule): unknown {
  if (!accepts(where, name, value, rule)) throw refused(where, name, value, rule);
  const read = rule.read === undefined ? value : rule.read(where, name, value);
  rule.inside?.(where, name, read);
  return read;
}

/** Whether the rule accepts the value. Throws InvalidArgumentError, with the cause, when looking at it throws. */
export function accepts(where: string, name: string, value: unknown, rule: Rule): boolean {
  try {
    return rule.accepts(value);
  } catch (cause) {
    throw unreadable(where, name, cause);
  }
}

/** The error for a value that a rule does not accept. */
export function refused(where: string, name: string, value: unknown, rule: Rule): InvalidArgumentError {
  const fault = rule.fault?.(value) ?? null;
  return new InvalidArgumentError(
    `${where}: expected ${name} to be ${rule.expected}, got ${describe(value)}${fault === null ? '' : `: ${fault}`}`,
    { operation: where },
  );
}

/**
 * Reads options once into a plain record, checks that and answers it: what a getter, a proxy or another owner of the object
 * answers at a second look does not count. Throws InvalidArgumentError unless every option is known and obeys its rule.
 *
 * Options are the enumerable properties of the object, and what its class defines. What stands on `Object.prototype` is
 * none. `prefix` names what `options` is itself.
 */
export function readOptions<Options extends object>(
  where: string,
  options: unknown,
  shape: Shape<Options>,
  prefix = '',
): Options {
  if (options === undefined) return NOTHING as Options;
  const names = ownNames(where, options, prefix || 'options');
  const record = new PlainRecord();
  for (const name of names) {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const value = readProperty(where, path, options as object, name);
    if (!Object.hasOwn(shape, name)) throw unknownOption(where, path, value, Object.keys(shape));
    if (value !== undefined) record[name] = readValue(where, path, value, shape[name as keyof Shape<Options>]);
  }
  if (!isPlain(where, options as object, prefix)) readInherited(where, options as object, shape, prefix, record);
  return record as Options;
}

function ownNames(where: string, options: unknown, self: string): string[] {
  try {
    if (typeof options === 'object' && options !== null && !Array.isArray(options)) return Object.keys(options);
  } catch (cause) {
    throw unreadable(where, self, cause);
  }
  throw new InvalidArgumentError(`${where}: expected ${self} to be an object, got ${describe(options)}`, {
    operation: where,
  });
}

function isPlain(where: string, options: object, prefix: string): boolean {
  try {
    const prototype: unknown = Object.getPrototypeOf(options);
    return prototype === Object.prototype || prototype === null || prototype === PlainRecord.prototype;
  } catch (cause) {
    throw unreadable(where, prefix || 'options', cause);
  }
}

function readInherited<Options>(
  where: string,
  options: object,
  shape: Shape<Options>,
  prefix: string,
  record: Record<string, unknown>,
): void {
  for (const name of Object.keys(shape)) {
    if (name in record || name in Object.prototype) continue;
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const value = readProperty(where, path, options, name);
    if (value !== undefined) record[name] = readValue(where, path, value, shape[name as keyof Shape<Options>]);
  }
}

/**
 * Reads the parts of an object once, whatever their names: its enumerable properties, and those of `names` that its class
 * defines. Parts that are undefined are left out.
 */
export function readParts(where: string, path: string, object: object, names: readonly string[]): object {
  const record = new PlainRecord();
  const inherited = isPlain(where, object, path) ? [] : names.filter((name) => !(name in Object.prototype));
  for (const name of new Set([...ownNames(where, object, path), ...inherited])) {
    const value = readProperty(where, `${path}.${name}`, object, name);
    if (value !== undefined) record[name] = value;
  }
  return record;
}

/** Reads a property of an object of the caller. Throws InvalidArgumentError, with the cause, when reading it throws. */
export function readProperty(where: string, path: string, object: object, name: string | number): unknown {
  try {
    return (object as Record<string | number, unknown>)[name];
  } catch (cause) {
    throw unreadable(where, path, cause);
  }
}

/** The error for an object of the caller that throws when it is looked at. */
export function unreadable(where: string, path: string, cause: unknown): InvalidArgumentError {
  const text = `${where}: ${excerpt(path)} cannot be read, looking at it threw: ${messageOf(cause)}`;
  return new InvalidArgumentError(text, { operation: where, cause });
}

function unknownOption(where: string, name: string, value: unknown, known: readonly string[]): InvalidArgumentError {
  return new InvalidArgumentError(
    `${where}: unknown option ${excerpt(name)}, got ${describe(value)}; the options are ${known.join(', ')}`,
    { operation: where },
  );
}

/** A value and its type as error texts show them: `"abc" (string)`, `-1 (number)`, `an array of 2 (object)`. */
export function describe(value: unknown): string {
  const type = value === null ? 'null' : typeof value;
  try {
    return `${shown(value)} (${type})`;
  } catch {
    // A proxy, or a getter, that does not let itself be looked at.
    return `a value that cannot be shown (${type})`;
  }
}

function shown(value: unknown): string {
  if (typeof value === 'string') return quoted(value, 60);
  if (typeof value === 'function') return value.name === '' ? 'a function' : `function ${nameOf(value)}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (types.isUint8Array(value)) return `${value.length} bytes`;
  if (typeof value === 'object' && value !== null) return `an instance of ${nameOf(value.constructor)}`;
  return excerpt(String(value), 60);
}

function nameOf(creator: unknown): string {
  const name = typeof creator === 'function' ? (creator.name as unknown) : undefined;
  return typeof name === 'string' && name !== '' ? excerpt(name, 60) : 'nothing';
}
