import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SubjectIndex } from '../../src/nats/subject-index.js';
import { hasWildcard, isLiteral, isSubscribable, publishTarget, subjectMatches } from '../../src/nats/subjects.js';

const token = fc.constantFrom('a', 'b', 'c', '*', '>', 'a*', '>b');
const subject = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
const pattern = subject.filter(isSubscribable);

/** The definition, as a recursion over tokens. */
function naive(wanted: readonly string[], given: readonly string[]): boolean {
  const [first, ...others] = wanted;
  if (first === undefined) return given.length === 0;
  if (first === '>') return given.length > 0;
  return given.length > 0 && (first === '*' || first === given[0]) && naive(others, given.slice(1));
}

describe('isSubscribable', () => {
  test.each(['foo', 'foo.bar', '*', '>', 'foo.*', '*.foo.*', 'foo.>', '*.>', 'foo.b*r', 'a>b', '$SYS.x', 'é.ü'])(
    'accepts %j',
    (given) => expect(isSubscribable(given)).toBe(true),
  );

  test.each(['', '.', 'foo.', '.foo', 'foo..bar', 'a b', 'a\tb', 'a\nb', 'a\r', '>.foo', 'foo.>.1', ' '])(
    'rejects %j',
    (given) => expect(isSubscribable(given)).toBe(false),
  );
});

describe('isLiteral', () => {
  test('is true only for complete tokens without wildcards', () => {
    expect(['foo', 'foo.b*r', 'a>b'].every(isLiteral)).toBe(true);
    expect(['', 'foo.*', 'foo.>', '*', 'a..b', 'a.'].some(isLiteral)).toBe(false);
  });
});

describe('subjectMatches', () => {
  test.each([
    ['foo', 'foo', true],
    ['foo', 'foo.bar', false],
    ['foo.*', 'foo.bar', true],
    ['foo.*', 'foo', false],
    ['foo.*', 'foo.bar.baz', false],
    ['foo.>', 'foo.bar.baz', true],
    ['foo.>', 'foo', false],
    ['>', 'foo', true],
    ['*', 'foo', true],
    ['*.b', 'a.b', true],
    ['>', 'foo..bar', false],
    ['wc.*.x', 'wc.*.x', true],
    ['wg.>', 'wg.>', true],
    ['wg.a', 'wg.*', false],
    ['b*', 'bc', false],
  ])('%s on %s is %s', (wanted, given, expected) => expect(subjectMatches(wanted, given)).toBe(expected));

  test('agrees with the definition for any pattern and subject', () => {
    fc.assert(
      fc.property(pattern, subject, (wanted, given) => {
        expect(subjectMatches(wanted, given)).toBe(naive(wanted.split('.'), given.split('.')));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('publishTarget', () => {
  test('splits at a space into subject and reply, as the server reads the line', () => {
    expect(publishTarget('a b', '')).toEqual({ subject: 'a', reply: 'b' });
    expect(publishTarget(' a\t', 'r')).toEqual({ subject: 'a', reply: 'r' });
    expect(publishTarget('a', '')).toEqual({ subject: 'a', reply: '' });
  });

  test('is null for a line that the server cannot read', () => {
    for (const given of ['a b c', ' ', 'a\nb', '']) expect(publishTarget(given, '')).toBeNull();
    expect(publishTarget('a b', 'r')).toBeNull();
    expect(publishTarget('a', 'r s')).toBeNull();
  });

  test('is null for a line that makes the server close the connection', () => {
    expect(publishTarget('ü'.repeat(2_000), '')).not.toBeNull();
    expect(publishTarget('ü'.repeat(2_000), 'r')).toBeNull();
    expect(publishTarget('s'.repeat(4_001), '')).toBeNull();
  });
});

describe('hasWildcard', () => {
  test('detects wildcards only as complete tokens', () => {
    expect(['*', '>', 'a.*', 'a.>', '*.a'].every(hasWildcard)).toBe(true);
    expect(['a', 'a.b*', '>a', 'a>.b'].some(hasWildcard)).toBe(false);
  });
});

describe('SubjectIndex', () => {
  interface Member {
    readonly pattern: string;
    readonly queue: string;
  }
  const change = fc.record({
    pattern,
    queue: fc.constantFrom('', '', 'q1', 'q2'),
    /** Which of the current members leaves instead, if any. */
    leaving: fc.option(fc.nat(20), { freq: 2 }),
    probe: subject,
  });

  test('finds the same recipients as the definition after any additions and removals', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40, size: 'max' }), (changes) => {
        const index = new SubjectIndex<Member>();
        const standing: Member[] = [];
        for (const { pattern: wanted, queue, leaving, probe } of changes) {
          const gone = leaving === null ? undefined : standing[leaving];
          if (gone) {
            standing.splice(standing.indexOf(gone), 1);
            index.remove(gone.pattern, gone);
          } else {
            const member = { pattern: wanted, queue };
            standing.push(member);
            index.add(wanted, member);
          }
          for (const given of [probe, wanted]) {
            const expected = standing.filter((member) => naive(member.pattern.split('.'), given.split('.')));
            const found = index.match(given);
            expect(new Set(found.singles)).toEqual(new Set(expected.filter((member) => member.queue === '')));
            expect(found.singles.length + found.groups.flat().length).toBe(expected.length);
            for (const group of found.groups) {
              const name = group[0]?.queue;
              expect(new Set(group)).toEqual(new Set(expected.filter((member) => member.queue === name)));
            }
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('loses no subscription after many one-time subjects', () => {
    const index = new SubjectIndex<Member>();
    const member = { pattern: 'inbox.*', queue: '' };
    index.add('inbox.*', member);
    let found = 0;
    for (let turn = 0; turn < 70_000; turn++) if (index.match(`inbox.${turn}`).singles[0] === member) found++;
    expect(found).toBe(70_000);
    index.remove('inbox.*', member);
    expect(index.match('inbox.69999').singles).toEqual([]);
  });
});
