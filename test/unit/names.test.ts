import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  headerNameFault,
  loadBalanceGroupFault,
  newStreamNameFault,
  publishSubjectFault,
  streamNameFault,
  streamSubjectFault,
} from '../../src/options/names.js';
import { checkValue, identifier, messageKey, newStreamName, streamName } from '../../src/options.js';

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** Text that meets every rule often: separators, dots, slashes, wildcards, long runs, characters of one to four bytes. */
const piece = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom('a', 'B', '7', '.', '*', '>', '/', 'ü', '漢', '😀', '\u00a0', '\u000b', ':'),
  },
  { weight: 1, arbitrary: fc.constantFrom(' ', '\t', '\r', '\n', '\0', '\ud800', '\udc00') },
  { weight: 1, arbitrary: fc.integer({ min: 60, max: 260 }).map((length) => 'x'.repeat(length)) },
);
const text = fc.array(piece, { maxLength: 12, size: 'max' }).map((pieces) => pieces.join(''));

/** The grammar as it is written down, decided character by character. */
function isToken(token: string, forbidden: string): boolean {
  if (token === '') return false;
  for (const char of token) if (forbidden.includes(char) || /^[\ud800-\udfff]$/.test(char)) return false;
  return true;
}

function isStreamName(name: string): boolean {
  return bytesOf(name) <= 255 && name.split('.').every((token) => isToken(token, ' \t\r\n\0'));
}

function isNewStreamName(name: string): boolean {
  return isStreamName(name) && name.split('.').every((token) => isToken(token, '/') && token !== '*' && token !== '>');
}

function isSubject(subject: string): boolean {
  return bytesOf(subject) <= 4_000 && subject.split('.').every((token) => isToken(token, ' \t\r\n'));
}

describe('the grammar of names', () => {
  it('accepts the stream names that a server can hold, and no others', () => {
    fc.assert(
      fc.property(text, (name) => {
        expect(streamNameFault(name) === null).toBe(isStreamName(name));
        expect(newStreamNameFault(name) === null).toBe(isNewStreamName(name));
      }),
      { numRuns: 2_000 },
    );
  });

  it('accepts the subjects that a stream can listen on, and no others', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 3 }), (subject, partitions) => {
        const tokens = subject.split('.');
        const everything = tokens.indexOf('>');
        const allowed =
          isSubject(subject) && (everything < 0 || (everything === tokens.length - 1 && partitions === 1));
        expect(streamSubjectFault(subject, partitions) === null).toBe(allowed);
      }),
      { numRuns: 2_000 },
    );
  });

  it('accepts the subjects that a message can go to, and no others', () => {
    fc.assert(
      fc.property(text, (subject) => {
        const literal = subject.split('.').every((token) => token !== '*' && token !== '>');
        expect(publishSubjectFault(subject) === null).toBe(isSubject(subject) && literal);
      }),
      { numRuns: 2_000 },
    );
  });

  it('accepts every load-balance group without separators, the empty one too', () => {
    fc.assert(
      fc.property(text, (group) => {
        expect(loadBalanceGroupFault(group, 's') === null).toBe(group === '' || isToken(group, ' \t\r\n'));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['a stream name of 255 bytes', newStreamNameFault('n'.repeat(255)), null],
    ['a stream name of 256 bytes', newStreamNameFault('n'.repeat(256)), 'it takes 256 bytes'],
    ['a stream name of 85 characters of three bytes', newStreamNameFault('漢'.repeat(85)), null],
    ['one more', newStreamNameFault('漢'.repeat(86)), 'it takes 258 bytes'],
    ['a subject of 4,000 bytes', streamSubjectFault('s'.repeat(4_000), 1), null],
    ['a subject of 4,001 bytes', streamSubjectFault('s'.repeat(4_001), 1), 'it takes 4001 bytes'],
    ['subject and group of 4,000 bytes', loadBalanceGroupFault('g'.repeat(1_000), 's'.repeat(3_000)), null],
    [
      'subject and group of 4,001 bytes',
      loadBalanceGroupFault('g'.repeat(1_001), 's'.repeat(3_000)),
      'group and subject take 4001 bytes',
    ],
    ['an empty header name', headerNameFault(''), null],
    ['a header name of any characters', headerNameFault('a b\n.\0'), null],
    ['a header name of 32,767 bytes', headerNameFault('h'.repeat(32_767)), null],
    ['a header name of 32,768 bytes', headerNameFault('h'.repeat(32_768)), 'it takes 32768 bytes'],
    ['a header name of 16,384 characters of two bytes', headerNameFault('ü'.repeat(16_384)), 'it takes 32768 bytes'],
  ])('%s: %s', (_, fault, expected) => {
    expect(fault).toBe(expected);
  });

  it('takes any text as the id of a group, a consumer or a cursor', () => {
    for (const id of [' ', '\0', '*', '>', '../x', 'a,b', 'i'.repeat(70_000)])
      expect(identifier.accepts(id)).toBe(true);
    for (const id of ['', '\ud800', 5, null]) expect(identifier.accepts(id)).toBe(false);
  });
});

describe('the error for a name', () => {
  it.each([
    ['with space', newStreamName, 'it has a space'],
    ['a..b', newStreamName, 'a part between its dots is empty'],
    ['a/b', newStreamName, 'it has a slash'],
    ['orders.>', newStreamName, 'the part ">" is a NATS wildcard'],
    ['a\ud800', streamName, 'it has half of a surrogate pair, which UTF-8 cannot hold'],
    ['a\ud800', messageKey, 'it has half of a surrogate pair, which UTF-8 cannot hold'],
  ])('%j says what is allowed and what is wrong', (value, rule, fault) => {
    expect(() => checkValue('createStream', 'name', value, rule)).toThrow(
      `createStream: expected name to be ${rule.expected}, got ${JSON.stringify(value)} (string): ${fault}`,
    );
  });
});
