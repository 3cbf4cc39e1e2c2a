/** Values that no caller should pass, by their description; each use creates a new value, since some work only once. */
export const HOSTILE: Readonly<Record<string, () => unknown>> = {
  null: () => null,
  'a symbol': () => Symbol('hostile'),
  'a function': () => () => undefined,
  'a class': () => class Hostile {},
  NaN: () => Number.NaN,
  'minus zero': () => -0,
  Infinity: () => Number.POSITIVE_INFINITY,
  'a negative number': () => -1,
  'a fraction': () => 0.5,
  'a huge number': () => 2 ** 60,
  'a huge bigint': () => 2n ** 70n,
  'an empty string': () => '',
  'a long string': () => 'x'.repeat(100_000),
  'half of a surrogate pair': () => 'a\ud800',
  'control characters': () => 'a\r\n\0\u0007\u2028\u202e',
  'a String object': () => new String('text'),
  'a Number object': () => new Number(1),
  'an array': () => [1, 2],
  'a sparse array': () => new Array(2 ** 32 - 1),
  'a Map': () => new Map([['timeout', 5]]),
  'a Date': () => new Date(Number.NaN),
  'a promise': () => Promise.resolve(5),
  'an error': () => new Error('hostile'),
  'a regular expression': () => /hostile/g,
  'an object without prototype': () => Object.create(null),
  'a frozen object': () => Object.freeze({}),
  'an object of unknown options': () => ({ hostile: true }),
  'an object whose text throws': () => ({
    toString: thrower,
    valueOf: thrower,
    [Symbol.toPrimitive]: thrower,
  }),
  'an object whose constructor throws': () =>
    Object.defineProperty({}, 'constructor', { get: thrower, enumerable: false }),
  'getters that throw': () => new Proxy({}, { get: thrower }),
  'a proxy whose keys throw': () => new Proxy({}, { ownKeys: thrower }),
  'a proxy whose prototype throws': () => new Proxy({}, { getPrototypeOf: thrower }),
  'a proxy that throws at everything': () => new Proxy({}, allTraps()),
  'a revoked proxy': revoked,
  'a proxy of bytes': () => new Proxy(Buffer.from('bytes'), {}),
  'a proxy of an AbortSignal': () => new Proxy(new AbortController().signal, {}),
  'what only looks like an AbortSignal': () => ({ aborted: false, addEventListener: 5, removeEventListener: 5 }),
  'a signal whose methods throw': () => ({
    aborted: false,
    reason: undefined,
    addEventListener: thrower,
    removeEventListener: thrower,
    throwIfAborted: thrower,
  }),
  'detached bytes': detached,
  'bytes of undefined length': () => Object.defineProperty(Buffer.from('bytes'), 'length', { value: undefined }),
  'bytes of another length': () => Object.defineProperty(Buffer.from('bytes'), 'length', { value: 2 ** 40 }),
  'bytes of a class of their own': () => new LyingBytes(5),
  'shared bytes': () => new Uint8Array(new SharedArrayBuffer(5)),
  'other typed arrays': () => new Float64Array(2),
  'an ArrayBuffer': () => new ArrayBuffer(5),
  'an object that pretends to be bytes': () => Object.create(Buffer.prototype),
};

class LyingBytes extends Uint8Array {
  override get length(): never {
    throw new Error('hostile');
  }
}

function thrower(): never {
  throw new Error('hostile\r\n\u0007');
}

function allTraps(): ProxyHandler<object> {
  return Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((trap) => [trap, thrower]));
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function detached(): Uint8Array {
  const bytes = new Uint8Array(8);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}
