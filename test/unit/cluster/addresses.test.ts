import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../../src/cluster/addresses.js';

describe('parseAddress', () => {
  it.each([
    ['broker', 'broker', 9292],
    ['broker:1', 'broker', 1],
    ['127.0.0.1:65535', '127.0.0.1', 65_535],
    ['[::1]:9293', '::1', 9293],
    ['[fe80::1]', 'fe80::1', 9292],
    ['::1', '::1', 9292],
  ])('reads %s', (text, host, port) => {
    expect(parseAddress(text)).toEqual({ host, port });
  });

  it.each(['', ':9292', 'host:', 'host:0', 'host:65536', 'host:x', 'http://host', 'a b', '[::1', '[host]:1', 'a:b:c'])(
    'refuses %o with its value and what is allowed',
    (text) => {
      expect(() => parseAddress(text)).toThrow(
        `connect: expected servers to be an address like "host", "host:9292" or "[::1]:9292", got ${JSON.stringify(text)} (string)`,
      );
    },
  );

  it.each([
    ['[::1%lo]:9292', 'it has a zone id, which HTTP/2 cannot carry'],
    ['fe80::1%eth0', 'it has a zone id, which HTTP/2 cannot carry'],
    ['a%b', 'it has a zone id, which HTTP/2 cannot carry'],
    ['host:0', 'its port is not from 1 to 65535 but 0'],
    ['host:65536', 'its port is not from 1 to 65535 but 65536'],
    ['a?b', 'its host makes no valid URL'],
    ['a@b:1', 'its host makes no valid URL'],
    ['a#b', 'its host makes no valid URL'],
    ['256.256.256.256', 'its host makes no valid URL'],
    ['a<b', 'its host makes no valid URL'],
  ])('refuses %s: %s', (text, fault) => {
    expect(() => parseAddress(text)).toThrow(new RegExp(`got .* \\(string\\): ${fault}$`));
  });

  it('refuses what is not text', () => {
    expect(() => parseAddress(9292)).toThrow('got 9292 (number)');
  });
});

describe('formatAddress', () => {
  it('puts IPv6 in brackets, so that it can be read again', () => {
    expect(formatAddress({ host: '::1', port: 5 })).toBe('[::1]:5');
    expect(formatAddress({ host: 'h', port: 5 })).toBe('h:5');
    expect(parseAddress(formatAddress({ host: '::1', port: 5 }))).toEqual({ host: '::1', port: 5 });
  });
});
