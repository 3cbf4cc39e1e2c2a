import { describe, expect, test } from 'vitest';
import { parseDuration } from '../src/setting-rules.js';
import { BrokerOptionError, resolveGiven, resolveSettings, settingFromText } from '../src/settings.js';

describe('resolveSettings', () => {
  test('without a record uses the defaults of the server', () => {
    const settings = resolveSettings();
    expect(settings.port).toBe(9292);
    expect(settings['clustering.namespace']).toBe('liftbridge-default');
    expect(settings['streams.retention.max.age']).toBe(7 * 24 * 3_600_000);
    expect(settings['streams.segment.max.bytes']).toBe(268_435_456);
    expect(settings['cursors.stream.replication.factor']).toBe(-1);
    expect(settings['groups.consumer.timeout']).toBe(15_000);
    expect(settings['activity.stream.publish.ack.policy']).toBe('all');
  });

  test('treats dotted and nested names as the same', () => {
    const dotted = resolveSettings({ 'streams.retention.max.messages': 5 });
    const nested = resolveSettings({ streams: { 'retention.max.messages': 5 } });
    const deeper = resolveSettings({ streams: { retention: { max: { messages: 5 } } } });
    expect(dotted['streams.retention.max.messages']).toBe(5);
    expect(nested).toEqual(dotted);
    expect(deeper).toEqual(dotted);
  });

  test('rejects an unknown name and suggests the nearest known one', () => {
    expect(() => resolveSettings({ 'streams.retention.max.mesages': 5 })).toThrow(
      'unknown setting "streams.retention.max.mesages"; did you mean "streams.retention.max.messages"?',
    );
    expect(() => resolveSettings({ __proto__x: 5 })).toThrow(BrokerOptionError);
  });

  test.each([
    [
      'cursors.stream.partitions',
      -1,
      'expected cursors.stream.partitions to be an integer from 0 to 10000, got -1 (number)',
    ],
    ['streams.compact.enabled', 'yes', 'expected streams.compact.enabled to be true or false, got "yes" (string)'],
    [
      'activity.stream.publish.ack.policy',
      'some',
      'expected activity.stream.publish.ack.policy to be one of none, leader, all, got "some" (string)',
    ],
    [
      'groups.consumer.timeout',
      '15 seconds',
      'expected groups.consumer.timeout to be milliseconds of at least 0 or a duration such as "15s", "2m" or "1h30m", got "15 seconds" (string)',
    ],
    ['port', 70_000, 'expected port to be an integer from 0 to 65535, got 70000 (number)'],
  ])('rejects %s with value %j and names the allowed values', (name, value, message) => {
    expect(() => resolveSettings({ [name]: value })).toThrow(message);
  });

  test('reports the option and the value in the error', () => {
    try {
      resolveSettings({ 'batch.max.messages': 0 });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(BrokerOptionError);
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'batch.max.messages', value: 0 });
    }
  });

  test('rolls segments at their retention age by default, and at most once a second', () => {
    expect(resolveSettings({ 'streams.retention.max.age': '1h' })['streams.segment.max.age']).toBe(3_600_000);
    expect(resolveSettings({ 'streams.segment.max.age': 10 })['streams.segment.max.age']).toBe(1_000);
    expect(resolveSettings({ 'streams.segment.max.age': 0 })['streams.segment.max.age']).toBe(0);
  });

  test('accepts a port or an address for listen', () => {
    expect(resolveSettings({ listen: 9293 }).listen).toEqual({ host: '', port: 9293 });
    expect(resolveSettings({ listen: '[::1]:9293' }).listen).toEqual({ host: '::1', port: 9293 });
    expect(() => resolveSettings({ listen: 'nowhere' })).toThrow('expected listen to be');
  });

  test('accepts a path or a list of triples for an access policy', () => {
    const rules = [['alice', 'orders', 'Publish']];
    expect(resolveSettings({ 'tls.client.authz.policy': rules })['tls.client.authz.policy']).toEqual(rules);
    expect(() => resolveSettings({ 'tls.client.authz.policy': [['alice', 'orders']] })).toThrow(
      '[identity, resource, rpc]',
    );
  });
});

describe('resolveGiven', () => {
  test('returns the given names, and those without an effect in this broker', () => {
    const { given, inert } = resolveGiven({ 'logging.level': 'debug', telemetry: { enabled: true }, port: 1 });
    expect([...given]).toEqual(['logging.level', 'port']);
    expect(inert).toEqual(['logging.level', 'telemetry.enabled']);
  });
});

describe('parseDuration', () => {
  test.each([
    ['15s', 15_000],
    ['2m', 120_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1_500],
    ['250ms', 250],
    ['10us', 0.01],
    ['0', 0],
  ])('parses %s as %d ms', (text, ms) => expect(parseDuration(text)).toBeCloseTo(ms, 9));

  test.each(['', '5', 's', '-1s', '1 s', '1d', '1s2'])('returns null for %j', (text) =>
    expect(parseDuration(text)).toBeNull(),
  );
});

describe('settingFromText', () => {
  test('parses text according to the type of the setting', () => {
    expect(settingFromText('streams.retention.max.messages', '5')).toBe(5);
    expect(settingFromText('streams.compact.enabled', 'true')).toBe(true);
    expect(settingFromText('clustering.server.id', '7')).toBe('7');
    expect(settingFromText('groups.consumer.timeout', '5s')).toBe('5s');
    expect(settingFromText('nats.servers', 'nats://a:1, nats://b:2')).toEqual(['nats://a:1', 'nats://b:2']);
  });
});
