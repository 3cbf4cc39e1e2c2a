import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { parseCommandLine, USAGE } from '../src/cli-options.js';
import { resolveOptions } from '../src/options.js';
import { BrokerOptionError } from '../src/settings.js';

const folder = temporaryDirectory();

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function started(...args: string[]) {
  const command = parseCommandLine(args);
  if (command.kind !== 'start') throw new Error(`expected a start, got ${command.kind}`);
  return command.options;
}

describe('parseCommandLine', () => {
  test('without arguments starts one broker on the default port of the server', () => {
    expect(parseCommandLine([])).toEqual({ kind: 'start', options: { port: 9292, settings: {} }, quiet: false });
  });

  test('maps every option', () => {
    expect(
      started(
        ...['--port', '0', '--host=0.0.0.0', '--brokers', '3', '--nats-port', '4222', '--data-dir', '/data'],
        ...['--cursors-partitions', '3', '--activity', '--consumer-timeout', '5s', '--coordinator-timeout', '250'],
        ...['--recovery-time', '1s'],
        ...['--tls-cert', 'c.pem', '--tls-key', 'k.pem', '--tls-client-ca', 'ca.pem'],
        ...['--set', 'streams.retention.max.messages=5', '--set', 'clustering.namespace=a=b'],
      ),
    ).toEqual({
      port: 0,
      host: '0.0.0.0',
      brokers: 3,
      natsPort: 4222,
      dataDir: '/data',
      cursorsPartitions: 3,
      activityStream: true,
      groups: { consumerTimeout: 5_000, coordinatorTimeout: 250 },
      recoveryTime: 1_000,
      settings: {
        'tls.cert': 'c.pem',
        'tls.key': 'k.pem',
        'tls.client.auth.enabled': true,
        'tls.client.auth.ca': 'ca.pem',
        'streams.retention.max.messages': 5,
        'clustering.namespace': 'a=b',
      },
    });
    expect(started('--nats-url', 'nats://127.0.0.1:4222').nats).toBe('nats://127.0.0.1:4222');
    expect(parseCommandLine(['--quiet'])).toMatchObject({ quiet: true });
  });

  test('gives help and version priority over all other arguments', () => {
    expect(parseCommandLine(['--port', '1', '--help'])).toEqual({ kind: 'help' });
    expect(parseCommandLine(['--version'])).toEqual({ kind: 'version' });
  });

  test('names every option in the help text', () => {
    for (const name of ['port', 'nats-url', 'tls-client-ca', 'set', 'config', 'quiet'])
      expect(USAGE).toContain(`--${name} `);
  });

  test('reads settings from a configuration file, with priority for the command line', () => {
    const config = file(
      'broker.json',
      '{"port": 1, "cursors": {"stream.partitions": 2}, "streams.compact.enabled": true}',
    );
    expect(started('--config', config)).toEqual({
      settings: { port: 1, 'cursors.stream.partitions': 2, 'streams.compact.enabled': true },
    });
    const options = started('--config', config, '--port', '0', '--set', 'streams.compact.enabled=false');
    const resolved = resolveOptions(options);
    expect(resolved.port).toBe(0);
    expect(resolved.settings['cursors.stream.partitions']).toBe(2);
    expect(resolved.settings['streams.compact.enabled']).toBe(false);
  });

  test.each([
    [['--prot', '1'], 'unknown option "--prot"; did you mean "--port"?'],
    [['-p', '1'], 'unknown option "-p"'],
    [['start'], 'unexpected argument "start"; see --help'],
    [['--port'], 'option --port needs a value; see --help'],
    [['--port', 'x'], 'option --port expects a whole number, not "x"; see --help'],
    [['--port', '1', '--port', '2'], 'option --port given twice; see --help'],
    [['--activity=yes'], 'option --activity accepts no value; see --help'],
    [
      ['--consumer-timeout', 'soon'],
      'option --consumer-timeout expects milliseconds or a duration such as 15s, not "soon"',
    ],
    [['--set', 'port'], 'option --set expects name=value, not "port"; see --help'],
    [['--config', '/no/such.json'], '--config "/no/such.json": cannot read ENOENT'],
  ])('rejects %j', (args, message) => {
    expect(() => parseCommandLine(args)).toThrow(message);
    expect(() => parseCommandLine(args)).toThrow(BrokerOptionError);
  });

  test('accepts a configuration file in YAML or JSON', () => {
    const config = file(
      'broker.yaml',
      [
        '# as the server reads it',
        'listen: localhost:9293',
        'streams:',
        '  retention.max.age: 1h',
        '  compact.enabled: true # a flag',
        'cursors.stream.partitions: 2',
        'nats.servers: ["nats://127.0.0.1:4222"]',
        'clustering:',
        '  server.id: n1',
        '',
      ].join('\n'),
    );
    expect(started('--config', config).settings).toEqual({
      listen: 'localhost:9293',
      'streams.retention.max.age': '1h',
      'streams.compact.enabled': true,
      'cursors.stream.partitions': 2,
      'nats.servers': ['nats://127.0.0.1:4222'],
      'clustering.server.id': 'n1',
    });
    expect(started('--config', file('empty.yaml', '# nothing\n')).settings).toEqual({});
  });

  test.each([
    ['port: [1', 'the file is neither YAML nor JSON: '],
    ['port: 1\nport: 2\n', 'the file is neither YAML nor JSON: Map keys must be unique'],
    ['{"port": 1', 'the file is neither YAML nor JSON: '],
    ['[1]', 'expected settings to be an object'],
    ['just text', 'expected settings to be an object'],
  ])('rejects a configuration file %j with a text of one line', (content, message) => {
    const config = file('broken.yaml', content);
    let error: unknown;
    try {
      parseCommandLine(['--config', config]);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(BrokerOptionError);
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).not.toContain('\n');
  });
});
