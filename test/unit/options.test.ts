import { describe, expect, it, onTestFinished } from 'vitest';
import { InvalidArgumentError } from '../../src/errors.js';
import {
  arrayOf,
  CLIENT_DEFAULTS,
  type ClientOptions,
  checkValue,
  describe as describeValue,
  int64,
  integer,
  milliseconds,
  readOptions,
  resolveClientOptions,
  withoutUndefined,
} from '../../src/options.js';

const invalid = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidArgumentError);
    return (error as Error).message;
  }
  throw new Error('nothing was refused');
};

describe('resolveClientOptions', () => {
  it('fills every default in when no option is given', () => {
    expect(resolveClientOptions()).toEqual(CLIENT_DEFAULTS);
    expect(resolveClientOptions()).toMatchObject({
      serverSelection: 'random',
      connectTimeout: 10_000,
      requestTimeout: 10_000,
      ackTimeout: 5_000,
      resubscribeTimeout: 30_000,
      metadataMaxAge: 60_000,
    });
  });

  it('keeps a default when the option is set to undefined', () => {
    const options = { ackTimeout: undefined, retry: { attempts: undefined, minDelay: 5 } };
    expect(resolveClientOptions(options)).toMatchObject({ ackTimeout: 5_000, retry: { attempts: 10, minDelay: 5 } });
  });

  it('takes every option that the interface names', () => {
    const logger = console;
    const options: ClientOptions = {
      tls: { ca: ['-----BEGIN CERTIFICATE-----', Buffer.from('pem')], servername: 'broker' },
      serverSelection: 'latency',
      connectTimeout: 1,
      requestTimeout: 2,
      ackTimeout: 3,
      resubscribeTimeout: 0,
      metadataMaxAge: 1_000,
      maxInFlight: { messages: 1, bytes: 2 },
      retry: { attempts: 1, minDelay: 0, maxDelay: 0 },
      logger,
      maxMessageBytes: 10,
      resolveBroker: () => 'host',
      metadata: { authorization: 'Bearer x' },
    };
    const { logger: _, ...rest } = options;
    expect(resolveClientOptions(options)).toMatchObject(rest);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('disk full\r\n');
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('disk full\r\n');
      },
    ],
  ])('keeps a logger that %s from ending what logs, and warns of it once', async (_how, fail) => {
    const warnings: Error[] = [];
    const listener = (warning: Error): void => void warnings.push(warning);
    process.on('warning', listener);
    onTestFinished(() => void process.off('warning', listener));
    const { logger } = resolveClientOptions({ logger: { debug: fail, info: fail, warn: fail, error: fail } });
    for (const level of ['debug', 'info', 'warn', 'error'] as const) logger[level]({}, 'text');
    await expect.poll(() => warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ name: 'LiftbridgeWarning' });
    expect(warnings[0]!.message).toBe('the logger of a client threw: disk full\\u{d}\\u{a}');
  });

  it('calls the logger as its own method, with the logged values', () => {
    class Recorder {
      readonly lines: unknown[] = [];
      debug(context: object, message: string): void {
        this.lines.push([context, message]);
      }
      info = this.debug;
      warn = this.debug;
      error = this.debug;
    }
    const recorder = new Recorder();
    resolveClientOptions({ logger: recorder }).logger.warn({ broker: 'b' }, 'text');
    expect(recorder.lines).toEqual([[{ broker: 'b' }, 'text']]);
  });

  it.each([
    [
      { ackTimeout: 0 },
      'connect: expected ackTimeout to be a number of milliseconds from 1 to 2147483647, got 0 (number)',
    ],
    [{ ackTimeout: '5s' }, 'got "5s" (string)'],
    [{ ackTimeout: Number.NaN }, 'got NaN (number)'],
    [{ connectTimeout: Number.POSITIVE_INFINITY }, 'expected connectTimeout'],
    [{ serverSelection: 'fastest' }, "to be one of 'random', 'latency', 'workload', got \"fastest\" (string)"],
    [{ tls: 'yes' }, 'expected tls to be true or false or an object with ca, cert'],
    [{ tls: { rejectUnauthorised: false } }, 'unknown option tls.rejectUnauthorised, got false (boolean)'],
    [{ tls: { ca: '/etc/ssl/ca.pem' } }, 'got "/etc/ssl/ca.pem" (string). For the path of a file pass its content'],
    [
      { tls: { ca: ['-----BEGIN CERTIFICATE-----', 'ca.pem'] } },
      'expected tls.ca to be certificates in PEM, got "ca.pem"',
    ],
    [
      { tls: { ca: 5 } },
      'expected tls.ca to be a string or a Buffer or an array, each entry a string or a Buffer, got 5',
    ],
    [{ retry: { attempts: 0 } }, 'expected retry.attempts to be a whole number of at least 1, got 0 (number)'],
    [{ maxInFlight: 5 }, 'expected maxInFlight to be an object with messages, bytes, got 5 (number)'],
    [{ logger: { info() {} } }, 'the functions debug, info, warn and error, got an instance of Object (object)'],
    [{ metadata: { token: 5 } }, 'expected metadata.token to be a string, got 5 (number)'],
    [{ conectTimeout: 5 }, 'unknown option conectTimeout, got 5 (number); the options are tls, serverSelection'],
    [null, 'expected options to be an object, got null (null)'],
    [[], 'expected options to be an object, got an array of 0 (object)'],
  ])('refuses %o by name', (options, text) => {
    expect(invalid(() => resolveClientOptions(options as ClientOptions))).toContain(text);
  });

  it('refuses names that only the prototype knows', () => {
    const options = JSON.parse('{ "constructor": 1 }') as ClientOptions;
    expect(invalid(() => resolveClientOptions(options))).toContain('unknown option constructor');
  });
});

describe('checkValue', () => {
  it('takes 64-bit integers as bigint, and as number where that is exact', () => {
    for (const value of [0, 5n, 2n ** 63n - 1n, Number.MAX_SAFE_INTEGER]) checkValue('x', 'offset', value, int64(0n));
    for (const value of [-1, 1.5, 2n ** 63n, 2 ** 53, '5'])
      expect(invalid(() => checkValue('x', 'offset', value, int64(0n)))).toContain('expected offset');
  });

  it('names the entry of an array that is wrong', () => {
    expect(invalid(() => checkValue('pauseStream', 'partitions', [0, -1], arrayOf(integer(0))))).toContain(
      'expected partitions[1] to be a whole number of at least 0, got -1 (number)',
    );
  });

  it('says which operation refused', () => {
    const error: unknown = (() => {
      try {
        return checkValue('ping', 'timeout', -1, milliseconds(0));
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', operation: 'ping', retryable: false });
  });
});

describe('readOptions', () => {
  it('takes no options at all', () => {
    expect(() => readOptions('ping', undefined, { timeout: milliseconds(0) })).not.toThrow();
  });
});

describe('describe', () => {
  it.each([
    ['abc', '"abc" (string)'],
    ['x'.repeat(100), `"${'x'.repeat(57)}..." (string)`],
    [5n, '5 (bigint)'],
    [undefined, 'undefined (undefined)'],
    [new Uint8Array(3), '3 bytes (object)'],
    [Object.create(null), 'an instance of nothing (object)'],
    [describeValue, 'function describe (function)'],
  ])('shows %o with its type', (value, text) => {
    expect(describeValue(value)).toBe(text);
  });
});

describe('withoutUndefined', () => {
  it('keeps null, 0 and false', () => {
    expect(withoutUndefined({ a: 0, b: false, c: null, d: undefined })).toEqual({ a: 0, b: false, c: null });
  });
});
