import { afterEach, describe, expect, it } from 'vitest';
import { InvalidArgumentError } from '../../../src/errors.js';
import {
  arrayOf,
  bytes,
  checkValue,
  describe as describeValue,
  either,
  flag,
  group,
  headers,
  integer,
  milliseconds,
  readOptions,
  recordOf,
  resolveConnect,
  type Shape,
  signal,
  text,
} from '../../../src/options.js';
import { HOSTILE } from '../../support/hostile.js';

interface Options {
  readonly timeout?: number;
  readonly names?: readonly string[];
  readonly nested?: { readonly count?: number };
  readonly texts?: Readonly<Record<string, string>>;
  readonly either?: boolean | { readonly count?: number };
}

const SHAPE: Shape<Options> = {
  timeout: milliseconds(1),
  names: arrayOf(text),
  nested: group({ count: integer(1) }),
  texts: recordOf(text),
  either: either(flag, group({ count: integer(1) })),
};

const read = (options: unknown): Options => readOptions<Options>('call', options, SHAPE);
const refusal = (run: () => unknown): InvalidArgumentError => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidArgumentError);
    return error as InvalidArgumentError;
  }
  throw new Error('nothing was refused');
};

/** A getter that answers these in turn, the last one for ever. */
function inTurn(...answers: readonly unknown[]): PropertyDescriptor {
  let at = 0;
  return { get: () => answers[Math.min(at++, answers.length - 1)], enumerable: true };
}

describe('readOptions', () => {
  it('answers a record of its own, for all levels', () => {
    const given = { timeout: 5, names: ['a'], nested: { count: 1 }, texts: { a: 'b' }, either: { count: 2 } };
    const options = read(given);
    expect(options).toEqual(given);
    given.names[0] = 'changed';
    Object.assign(given.nested, { count: -1 });
    Object.assign(given.texts, { a: 5 });
    expect(options).toEqual({
      timeout: 5,
      names: ['a'],
      nested: { count: 1 },
      texts: { a: 'b' },
      either: { count: 2 },
    });
  });

  it('reads each property once', () => {
    const given = Object.defineProperty({}, 'timeout', inTurn(5, 'abc'));
    const options = read(given);
    expect([options.timeout, options.timeout]).toEqual([5, 5]);
    const nested = Object.defineProperty({}, 'count', inTurn(5, -1));
    expect(read({ nested }).nested).toEqual({ count: 5 });
    const names = Object.defineProperty(['a'], 0, inTurn('a', 5));
    expect(read({ names }).names).toEqual(['a']);
    const texts = Object.defineProperty({}, 'a', inTurn('a', 5));
    expect(read({ texts }).texts).toEqual({ a: 'a' });
  });

  it('reads and checks options that a class defines', () => {
    class Defaults {
      get timeout(): unknown {
        return 7;
      }
    }
    class Given extends Defaults {
      names = ['a'];
      helper(): void {}
    }
    expect(read(new Given())).toEqual({ timeout: 7, names: ['a'] });
    class Wrong extends Defaults {
      override get timeout(): unknown {
        return 'abc';
      }
    }
    expect(refusal(() => read(new Wrong())).message).toBe(
      'call: expected timeout to be a number of milliseconds from 1 to 2147483647, got "abc" (string)',
    );
    expect(read(Object.create({ timeout: 9 }))).toEqual({ timeout: 9 });
  });

  it('takes an object without a prototype, and its own record', () => {
    expect(read(Object.assign(Object.create(null), { timeout: 5 }))).toEqual({ timeout: 5 });
    expect(read(read({ timeout: 5 }))).toEqual({ timeout: 5 });
    expect(read(undefined)).toEqual({});
  });

  it.each([
    ['a getter', () => Object.defineProperty({}, 'timeout', { get: thrower, enumerable: true }), 'timeout'],
    [
      'a nested getter',
      () => ({ nested: Object.defineProperty({}, 'count', { get: thrower, enumerable: true }) }),
      'nested.count',
    ],
    ['an entry', () => ({ names: Object.defineProperty(['a'], 0, { get: thrower }) }), 'names[0]'],
    ['a proxy', () => new Proxy({ timeout: 5 }, { get: thrower }), 'timeout'],
    ['the keys of a proxy', () => new Proxy({}, { ownKeys: thrower }), 'options'],
    ['the prototype of a proxy', () => new Proxy({}, { getPrototypeOf: thrower }), 'options'],
    ['the keys of a nested proxy', () => ({ texts: new Proxy({}, { ownKeys: thrower }) }), 'texts'],
    ['what has alternatives', () => ({ either: new Proxy({}, { has: thrower }) }), 'either'],
  ])('names what cannot be read, with what was thrown as the cause: %s', (_what, make, name) => {
    const error = refusal(() => read(make()));
    expect(error.message).toBe(`call: ${name} cannot be read, looking at it threw: boom`);
    expect(error).toMatchObject({ operation: 'call', cause: new Error('boom') });
  });

  it('refuses a value whose second look differs from the first, whichever rule it is for', () => {
    let looks = 0;
    const shifty = new Proxy({}, { has: () => looks++ > 0 });
    expect(refusal(() => read({ either: shifty })).message).toContain(
      'expected either to be true or false or an object',
    );
  });
});

function thrower(): never {
  throw new Error('boom');
}

describe('a polluted prototype', () => {
  afterEach(() => {
    for (const name of ['timeout', 'signal', 'count']) Reflect.deleteProperty(Object.prototype, name);
  });

  const pollute = (name: string, value: unknown): void => {
    Object.defineProperty(Object.prototype, name, { value, configurable: true, enumerable: true, writable: true });
  };

  it('adds no options', () => {
    pollute('timeout', 'abc');
    pollute('count', -1);
    expect(read({}).timeout).toBeUndefined();
    expect(read(undefined).timeout).toBeUndefined();
    expect(read({ nested: {} }).nested?.count).toBeUndefined();
    expect(read(new (class Given {})()).timeout).toBeUndefined();
  });

  it('changes none of those of connect', () => {
    pollute('signal', 5);
    expect(resolveConnect({}).signal).toBeUndefined();
    expect(resolveConnect().lasting).toMatchObject({ ackTimeout: 5_000 });
  });
});

describe('rules', () => {
  it('refuse bytes whose memory was transferred away, and say so', () => {
    const message = refusal(() => checkValue('call', 'value', HOSTILE['detached bytes']!(), bytes)).message;
    expect(message).toBe(
      'call: expected value to be a string or a Uint8Array, got 0 bytes (object): its memory was transferred to another owner',
    );
    expect(bytes.accepts(new Uint8Array(0))).toBe(true);
  });

  it.each(['a proxy of bytes', 'an object that pretends to be bytes', 'other typed arrays', 'an ArrayBuffer'])(
    'refuse %s',
    (what) => {
      expect(bytes.accepts(HOSTILE[what]!())).toBe(false);
    },
  );

  it('refuse a Map where they would find no entries in it', () => {
    for (const rule of [headers, recordOf(text), group({})])
      expect(refusal(() => checkValue('call', 'x', new Map([['a', 'b']]), rule)).message).toContain(
        'an instance of Map',
      );
  });

  it('reject objects that only look like a signal', () => {
    expect(signal.accepts(new AbortController().signal)).toBe(true);
    expect(signal.accepts(HOSTILE['what only looks like an AbortSignal']!())).toBe(false);
    const throwing = HOSTILE['a signal whose methods throw']!();
    const error = refusal(() => checkValue('call', 'signal', throwing, signal));
    expect(error).toMatchObject({
      message: expect.stringContaining('signal cannot be read'),
      cause: expect.any(Error),
    });
    const foreign = new Proxy(new AbortController().signal, {});
    expect(() => checkValue('call', 'signal', foreign, signal)).not.toThrow();
  });
});

describe('hostile values', () => {
  it.each(Object.keys(HOSTILE))('%s: is shown in an error', (what) => {
    const shown = describeValue(HOSTILE[what]!());
    expect(shown.length).toBeLessThan(300);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not reach a log
    expect(shown).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
  });

  it.each(Object.keys(HOSTILE))(
    '%s: as options, or as any one of them, is taken or refused, never thrown at',
    (what) => {
      const uses = [
        (value: unknown) => value,
        ...Object.keys(SHAPE).map((name) => (value: unknown) => ({ [name]: value })),
        (value: unknown) => ({ names: [value] }),
        (value: unknown) => ({ nested: { count: value } }),
        (value: unknown) => ({ texts: { a: value } }),
      ];
      for (const use of uses) {
        try {
          read(use(HOSTILE[what]!()));
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidArgumentError);
          expect(error).toMatchObject({ operation: 'call' });
          expect((error as Error).message.length).toBeLessThan(600);
        }
      }
    },
  );

  it.each(Object.keys(HOSTILE))('%s: each rule accepts or rejects it', (what) => {
    for (const rule of [bytes, headers, signal, recordOf(text), group({}), arrayOf(flag)]) {
      try {
        checkValue('call', 'x', HOSTILE[what]!(), rule);
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidArgumentError);
      }
    }
  });
});
