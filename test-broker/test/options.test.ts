import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { resolveOptions, type TestBrokerOptions } from '../src/options.js';
import { BrokerOptionError } from '../src/settings.js';

const folder = temporaryDirectory();
const PEM = '-----BEGIN CERTIFICATE-----\n';

describe('resolveOptions', () => {
  test('without options returns one in-memory broker on a free port of loopback', () => {
    const resolved = resolveOptions();
    expect(resolved).toMatchObject({
      brokers: 1,
      port: 0,
      host: '127.0.0.1',
      advertisedHost: '127.0.0.1',
      nats: false,
      natsPort: 0,
      tls: null,
      dataDir: null,
    });
  });

  test.each<[TestBrokerOptions, number]>([
    [{}, 1],
    [{ cursorsPartitions: 0 }, 0],
    [{ settings: { 'cursors.stream.partitions': 0 } }, 0],
    [{ cursorsPartitions: 2, settings: { cursors: { 'stream.partitions': 2 } } }, 2],
    [{ settings: { 'cursors.stream': { partitions: 3 } } }, 3],
  ])('resolves %j to a cursors stream with %i partitions', (options, partitions) => {
    expect(resolveOptions(options).settings['cursors.stream.partitions']).toBe(partitions);
  });

  test('converts options that have a setting into that setting', () => {
    const { settings, given, port } = resolveOptions({
      port: 9292,
      cursorsPartitions: 3,
      activityStream: true,
      groups: { consumerTimeout: 5_000 },
      dataDir: '/data',
      settings: { streams: { 'segment.max.bytes': 100 } },
    });
    expect(port).toBe(9292);
    expect(settings['cursors.stream.partitions']).toBe(3);
    expect(settings['activity.stream.enabled']).toBe(true);
    expect(settings['groups.consumer.timeout']).toBe(5_000);
    expect(settings['data.dir']).toBe('/data');
    expect(settings['streams.segment.max.bytes']).toBe(100);
    expect(given.has('groups.coordinator.timeout')).toBe(false);
  });

  test.each<[TestBrokerOptions & Record<string, unknown>, string]>([
    [{ broker: 3 }, 'unknown option "broker"; did you mean "brokers"?'],
    [{ 'data.dir': 'x' }, 'unknown option "data.dir"; pass it inside settings'],
    [{ brokers: 0 }, 'expected brokers to be an integer from 1 to 64, got 0 (number)'],
    [{ port: -1 }, 'expected port to be an integer from 0 to 65535, got -1 (number)'],
    [{ cursorsPartitions: 1.5 }, 'expected cursorsPartitions to be an integer from 0 to 10000, got 1.5 (number)'],
    [{ nats: 'localhost' }, 'expected nats to be true, false or a URL nats://host:port, got "localhost" (string)'],
    [{ nats: 'nats://a:1', natsPort: 4222 }, 'option natsPort contradicts nats'],
    [{ port: 65_535, brokers: 2 }, 'expected port to be at most 65534, got 65535 (number)'],
    [
      { cursorsPartitions: 1, settings: { 'cursors.stream.partitions': 2 } },
      'option cursorsPartitions contradicts the setting cursors.stream.partitions; give one of them',
    ],
    [{ tls: { cert: 'a.pem', key: PEM } }, 'expected tls.cert to be a certificate or key in PEM, got "a.pem" (string)'],
    [{ settings: { 'tls.cert': 'a.pem' } }, 'setting tls.cert needs tls.key as well'],
  ])('rejects %j', (options, message) => {
    expect(() => resolveOptions(options)).toThrow(message);
    expect(() => resolveOptions(options)).toThrow(BrokerOptionError);
  });

  test('enables the embedded listener if there is a NATS port', () => {
    expect(resolveOptions({ natsPort: 4222 })).toMatchObject({ nats: true, natsPort: 4222 });
    expect(resolveOptions({ nats: true })).toMatchObject({ nats: true, natsPort: 0 });
    expect(resolveOptions({ settings: { 'nats.servers': ['nats://a:1'] } }).nats).toBe('nats://a:1');
  });

  test('advertises localhost for a broker that binds every address, unless host is set', () => {
    expect(resolveOptions({ host: '0.0.0.0' }).advertisedHost).toBe('localhost');
    expect(resolveOptions({ host: '0.0.0.0', settings: { host: 'broker' } }).advertisedHost).toBe('broker');
  });

  test('reads TLS files from the settings of the server', () => {
    for (const name of ['cert', 'key', 'ca']) writeFileSync(join(folder, name), PEM);
    const files = { 'tls.cert': join(folder, 'cert'), 'tls.key': join(folder, 'key') };
    expect(resolveOptions({ settings: files }).tls).toEqual({ cert: PEM, key: PEM });
    const mutual = { ...files, 'tls.client.auth.enabled': true };
    expect(() => resolveOptions({ settings: mutual })).toThrow('tls.client.auth.ca');
    expect(resolveOptions({ settings: { ...mutual, 'tls.client.auth.ca': join(folder, 'ca') } }).tls?.clientCa).toBe(
      PEM,
    );
    expect(() => resolveOptions({ settings: { ...files, 'tls.key': join(folder, 'none') } })).toThrow(
      /^cannot read tls.key ".*none": ENOENT/,
    );
  });
});
