import { messageOf } from '../errors/quote.js';

/** A broker where another value names it. */
interface BrokerLike {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly address: string;
}

/** What an error shows of itself in JSON: all fields but the stack, and the text of its cause. */
type JsonOfError<T> = {
  [Name in keyof T as Name extends 'stack' | 'cause' | 'toJSON' ? never : Name]: JsonOfField<T[Name]>;
} & { readonly cause?: string };

/** A partition and a group name their brokers by id. */
type JsonOfField<T> = T extends BrokerLike ? string : T extends readonly (infer Item)[] ? JsonOfField<Item>[] : Json<T>;

/**
 * What `JSON.parse(JSON.stringify(value))` returns for a value of this package: a `bigint` is decimal text, bytes are base64,
 * a `Date` is ISO 8601, a `Map` is an object with its keys as text. Brokers inside of partitions and groups are their ids.
 * An error has its name, code, message and context, and the text of its cause, without the stack.
 */
export type Json<T> = T extends bigint | Date | Uint8Array
  ? string
  : T extends string | number | boolean | null | undefined
    ? T
    : T extends Error
      ? JsonOfError<T>
      : T extends ReadonlyMap<unknown, infer Value>
        ? Record<string, Json<Value>>
        : T extends readonly (infer Item)[]
          ? Json<Item>[]
          : T extends object
            ? {
                // biome-ignore lint/complexity/noBannedTypes: any function at all is left out
                [Name in keyof T as T[Name] extends Function ? never : Name]: JsonOfField<T[Name]>;
              }
            : T;

/** A value as `Json` describes it. An object of a class without `toJSON` is left to `JSON.stringify`. */
function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return base64Of(value);
  if (value instanceof Map) return jsonFields(value);
  if (Array.isArray(value)) return value.map(toJson);
  if ('toJSON' in value && typeof value.toJSON === 'function') return value.toJSON();
  if (value instanceof Error) return jsonOfForeign(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null ? jsonFields(Object.entries(value)) : value;
}

/** An object without a prototype, so that any text may be a key. */
export function jsonFields(entries: Iterable<readonly [unknown, unknown]>): Record<string, unknown> {
  const json: Record<string, unknown> = Object.create(null);
  for (const [name, value] of entries) json[String(name)] = toJson(value);
  return json;
}

/** The prototype of values that are plain objects but for a `toJSON`, which is not enumerable. */
function prototypeWith(base: object, toJSON: (this: never) => unknown): object {
  return Object.create(base, { toJSON: { value: toJSON, writable: true, configurable: true } });
}

const PLAIN = prototypeWith(Object.prototype, function (this: object) {
  return jsonFields(Object.entries(this));
});

const MAP = prototypeWith(Map.prototype, function (this: ReadonlyMap<unknown, unknown>) {
  return jsonFields(this);
});

/** Gives a fresh object or `Map` a `toJSON` as `Json` describes; it stays what it was in every other respect. */
export function jsonable<T extends object>(fresh: T): T {
  return Object.setPrototypeOf(fresh, fresh instanceof Map ? MAP : PLAIN);
}

/** The same for objects of which `toFields` returns what is to be written. */
export function jsonableBy<T extends object>(toFields: (value: T) => object): (fresh: T) => T {
  const prototype = prototypeWith(Object.prototype, function (this: T) {
    return jsonFields(Object.entries(toFields(this)));
  });
  return (fresh) => Object.setPrototypeOf(fresh, prototype);
}

/**
 * Makes the objects of a class read as plain ones, in `util.inspect` and in comparisons of types: `constructor` is `Object`.
 * For the objects of the hot path, which a class makes faster than `jsonable`.
 */
export function readsAsPlain(type: { readonly prototype: object }): void {
  Object.defineProperty(type.prototype, 'constructor', { value: Object, writable: true, configurable: true });
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** An error that is none of this package, an abort reason for example. */
function jsonOfForeign(error: Error): Record<string, unknown> {
  const code: unknown = Reflect.get(error, 'code');
  return { name: error.name, ...(typeof code === 'string' && { code }), message: messageOf(error) };
}
