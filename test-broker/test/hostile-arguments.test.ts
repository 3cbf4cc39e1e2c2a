import { join } from 'node:path';
import { connect } from 'liftbridge-client';
import { TestBroker, type TestBrokerOptions } from 'liftbridge-test-broker';
import { afterAll, describe, expect, test } from 'vitest';
import { HOSTILE } from '../../test/support/hostile.js';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { Faults } from '../src/faults.js';
import { BrokerOptionError } from '../src/option-error.js';
import { resolveOptions } from '../src/options.js';
import { SETTING_NAMES } from '../src/settings.js';

/** Expensive to create, and no test changes it. */
const TOO_MANY_NAMES = Object.fromEntries(Array.from({ length: 100_001 }, (_, i) => [`name${i}`, i]));

const VALUES: Readonly<Record<string, () => unknown>> = {
  ...HOSTILE,
  undefined: () => undefined,
  'the first unsafe integer': () => 2 ** 53,
  'a small bigint': () => 5n,
  'a very long text of control characters': () => '\u0007'.repeat(200_000),
  'an object in itself': () => {
    const self: Record<string, unknown> = {};
    self.self = self;
    self.other = self;
    return self;
  },
  'an object of too many names': () => TOO_MANY_NAMES,
  'a class with a getter that throws': () =>
    new (class {
      get brokers(): never {
        throw new Error('hostile\r\n\u0007');
      }
    })(),
};
const NAMES = Object.keys(VALUES);
const folder = temporaryDirectory();
const stray: unknown[] = [];
const note = (error: unknown): void => void stray.push(error);
process.on('uncaughtExceptionMonitor', note);
process.on('unhandledRejection', note);
afterAll(() => {
  process.off('uncaughtExceptionMonitor', note);
  process.off('unhandledRejection', note);
});

type Method = (...given: never[]) => unknown;

/** Methods that the brokers call internally. The types of the package show them, but tests do not call them. */
const INTERNAL = [
  'takeAckDrop',
  'attachNats',
  'takeDeadlineReset',
  'takeRejection',
  'takeReset',
  'takeCut',
  'onChange',
  'attach',
];

function methodsOf(prototype: object): string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(prototype))
    .filter(([name, { value }]) => typeof value === 'function' && name !== 'constructor')
    .map(([name]) => name);
}

/** Valid arguments of each method. The tests replace one after the other by a hostile value. */
const GOOD: Readonly<Record<string, readonly unknown[]>> = {
  stopBroker: [0, {}],
  startBroker: [0, {}],
  ready: [],
  leaderOf: ['s', 0],
  moveLeader: ['s', 0, 0],
  truncateReplica: ['s', 0, 0, 0],
  messages: ['s', 0],
  reloadAccessPolicy: [],
  attachNats: ['nats://127.0.0.1:1'],
  reset: [],
  close: [],
  'faults.rejectNext': ['Publish', 'UNAVAILABLE', 'text', 1, {}],
  'faults.resetNext': ['Publish', 'CANCEL', 1, {}],
  'faults.cutMidFrame': ['Publish', {}],
  'faults.delayAcks': [0],
  'faults.dropAcks': [0],
  'faults.endDeadlines': ['mixed'],
  'faults.cutConnections': [{}],
  'faults.goAway': [{}],
  'faults.silence': [1, {}],
  'faults.partition': [0, 1],
  'faults.heal': [],
  'faults.freeze': [0],
  'faults.thaw': [0],
  'faults.nats': ['up'],
  'faults.delayMetadata': [0, {}],
  'faults.electUnaware': [1],
  'faults.unlist': [0],
  'faults.clear': [],
  'clock.advance': [1],
  'clock.now': [],
};
/** Names of the options of each method. Each option gets every hostile value, too. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  stopBroker: ['graceful'],
  startBroker: ['recoveryTime', 'hold', 'silentPartitions', 'loseRecreatedStreams'],
  attachNats: ['url', 'user', 'password', 'token', 'ca', 'cert', 'key'],
  'faults.rejectNext': ['broker'],
  'faults.resetNext': ['broker'],
  'faults.cutMidFrame': ['broker'],
  'faults.cutConnections': ['broker'],
  'faults.goAway': ['broker'],
  'faults.silence': ['broker'],
  'faults.delayMetadata': ['broker'],
};
/**
 * These may remove the stream, a broker, or the connection of the next publish. Other faults end with
 * `faults.clear`; other methods change nothing.
 */
const DESTRUCTIVE = [
  'stopBroker',
  'startBroker',
  'moveLeader',
  'truncateReplica',
  'attachNats',
  'reset',
  'faults.electUnaware',
  'faults.cutConnections',
  'faults.goAway',
];
/** Closes the broker itself, with any argument. */
const LAST = ['close'];

/** Null for an error of the broker that names an option and has one line of limited length; otherwise the problem. */
function faultOf(error: unknown): string | null {
  if (!(error instanceof Error)) return `not an error: ${typeof error}`;
  if (/[\p{Cc}\p{Surrogate}]/u.test(error.message)) return `with control characters: ${JSON.stringify(error.message)}`;
  if (error.message.length > 2_000) return `${error.message.length} characters`;
  if (error instanceof BrokerOptionError && error.option !== '') return null;
  return `raw: ${error.stack}`;
}

async function outcome(call: () => unknown): Promise<{ readonly worked: boolean; readonly fault: string | null }> {
  try {
    await call();
    return { worked: true, fault: null };
  } catch (error) {
    return { worked: false, fault: faultOf(error) };
  }
}

function* variants(
  good: readonly unknown[],
  options: readonly string[],
  value: () => unknown,
): Generator<[string, unknown[]]> {
  for (let position = 0; position <= good.length; position++) {
    const given: unknown[] = [...good];
    given[position] = value();
    yield [`argument ${position}`, given];
  }
  const last = Math.max(0, good.length - 1);
  const before = good.slice(0, last);
  for (const option of options) {
    const rest = option !== 'url' && good.length === 1 && typeof good[0] === 'string' ? { url: good[0] } : {};
    yield [option, [...before, { ...rest, [option]: value() }]];
  }
}

test('every public method is tested with hostile arguments', () => {
  const methods = [
    ...methodsOf(TestBroker.prototype),
    ...methodsOf(Faults.prototype)
      .filter((name) => !INTERNAL.includes(name))
      .map((name) => `faults.${name}`),
    ...['clock.advance', 'clock.now'],
  ];
  expect(methods.toSorted()).toEqual(Object.keys(GOOD).toSorted());
  expect(NAMES.length).toBeGreaterThanOrEqual(40);
});

describe('a broker', () => {
  test.each(Object.keys(GOOD).filter((name) => !LAST.includes(name)))(
    '%s works or fails with a typed error, and the broker still works',
    async (name) => {
      await using broker = await TestBroker.start({ brokers: 2, recoveryTime: 0 });
      await using client = await connect(broker.addresses);
      const renew = async (): Promise<void> => {
        await broker.reset();
        await client.createStream('s', 's', { timeout: 60_000 });
      };
      await renew();
      const [first, second] = name.split('.') as [string, string?];
      const owner = (second === undefined ? broker : broker[first as 'faults']) as unknown as Record<string, Method>;
      const wrong: string[] = [];
      for (const what of NAMES)
        for (const [where, given] of variants(GOOD[name]!, OPTIONS[name] ?? [], VALUES[what]!)) {
          const { worked, fault } = await outcome(() => owner[second ?? first]!(...(given as never[])));
          if (fault !== null) wrong.push(`${where}, ${what}: ${fault}`);
          if (worked && DESTRUCTIVE.includes(name)) await renew();
          broker.faults.clear();
          await client.publish('s', 'sound', { timeout: 60_000 });
        }
      expect(wrong).toEqual([]);
      expect(stray).toEqual([]);
    },
  );

  test('closes with any argument', async () => {
    for (const what of NAMES) {
      const broker = await TestBroker.start();
      await (broker.close as Method)(VALUES[what]!() as never);
    }
  });

  test('rejects an invalid hold of a recovery', async () => {
    await using broker = await TestBroker.start();
    await broker.stopBroker(0);
    const recovery = await broker.startBroker(0, { hold: 'empty' });
    for (const what of NAMES.filter((name) => name !== 'undefined')) {
      const { worked, fault } = await outcome(() => recovery.release(VALUES[what]!() as never));
      expect([what, worked, fault]).toEqual([what, false, null]);
    }
    await recovery.release();
    expect(recovery.phase).toBe('ready');
  });
});

describe('start', () => {
  const OPTION_NAMES = [
    ...[
      'brokers',
      'port',
      'host',
      'natsPort',
      'nats',
      'cursorsPartitions',
      'activityStream',
      'groups',
      'settings',
      'tls',
    ],
    ...['recoveryTime', 'groups.consumerTimeout', 'groups.coordinatorTimeout', 'tls.cert', 'tls.key', 'tls.clientCa'],
    ...['nats.url', 'nats.user', 'nats.ca', 'dataDir', 'unknown'],
  ];
  /** An error for an address that cannot be bound or reached keeps the code of the system, as for a port in use. */
  const bySystem = (error: unknown): boolean =>
    ['ENOTFOUND', 'EADDRNOTAVAIL', 'EACCES', 'EAI_AGAIN', 'EINVAL', 'CONNECTION_REFUSED'].includes(
      (error as NodeJS.ErrnoException).code ?? '',
    );

  function optionsWith(name: string, value: unknown): TestBrokerOptions {
    const [outer, inner] = name.split('.') as [string, string?];
    if (outer === 'dataDir' && typeof value === 'string') return { dataDir: join(folder, 'data', value) };
    if (inner === undefined) return { [outer]: value } as TestBrokerOptions;
    const rest = outer === 'nats' ? { url: 'nats://127.0.0.1:1' } : {};
    return { [outer]: { ...rest, [inner]: value } } as TestBrokerOptions;
  }

  async function start(options: TestBrokerOptions): Promise<void> {
    const broker = await TestBroker.start(options).catch((error: unknown) => {
      if (bySystem(error) && (error as Error).message.length < 400) return null;
      throw error;
    });
    await broker?.close();
  }

  test.each(['options', ...OPTION_NAMES])('%s: works or fails with a typed error', async (name) => {
    const wrong: string[] = [];
    for (const what of NAMES) {
      const value = VALUES[what]!();
      const given = name === 'options' ? (value as TestBrokerOptions) : optionsWith(name, value);
      const { fault } = await outcome(() => start(given));
      if (fault !== null) wrong.push(`${name}, ${what}: ${fault}`);
    }
    expect(wrong).toEqual([]);
    expect(stray).toEqual([]);
  });

  test.each(SETTING_NAMES)('the setting %s is accepted or rejected', async (name) => {
    // These name files and servers that do not exist, which is another error.
    const starts = !/^(nats|tls|listen|host|data)|encryption|policy/.test(name);
    const wrong: string[] = [];
    let left = 2;
    for (const what of NAMES) {
      const settings = { [name]: VALUES[what]!() };
      const { worked, fault } = await outcome(() => resolveOptions({ settings }));
      // The broker runs with the first allowed value.
      const started = worked && starts && left-- > 0 ? await outcome(() => start({ settings })) : { fault };
      if ((fault ?? started.fault) !== null) wrong.push(`${name}, ${what}: ${fault ?? started.fault}`);
    }
    expect(wrong).toEqual([]);
  });
});
