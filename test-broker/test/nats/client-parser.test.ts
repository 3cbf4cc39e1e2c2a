import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ClientCommands, ClientParser } from '../../src/nats/client-parser.js';
import { ProtocolError } from '../../src/nats/protocol-error.js';

/** Records every command. */
class Recorder implements ClientCommands {
  readonly calls: unknown[] = [];
  connect(options: string) {
    this.calls.push(['connect', options]);
  }
  ping() {
    this.calls.push(['ping']);
  }
  pong() {
    this.calls.push(['pong']);
  }
  announce(subject: string, size: number, withHeaders: boolean) {
    this.calls.push(['announce', subject, size, withHeaders]);
  }
  publish(subject: string, reply: string, headers: Buffer | undefined, data: Buffer) {
    this.calls.push(['publish', subject, reply, headers?.toString(), data.toString()]);
  }
  subscribe(subject: string, queue: string, sid: string) {
    this.calls.push(['subscribe', subject, queue, sid]);
  }
  unsubscribe(sid: string, max: number) {
    this.calls.push(['unsubscribe', sid, max]);
  }
}

function parse(chunks: readonly Buffer[]): unknown[] {
  const recorder = new Recorder();
  const parser = new ClientParser(recorder);
  try {
    for (const chunk of chunks) parser.push(chunk);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    recorder.calls.push(['end', error.wire]);
  }
  return recorder.calls;
}

const SCRIPT = Buffer.from(
  'CONNECT {"verbose":false}\r\nping\r\nPONG  \r\n+OK\r\nINFO {}\r\nSUB a.> 1\r\nsub \t b q 2 \r\nPUB a.b 5\r\nPING\r\r\n' +
    'PUB a.b r 0\r\n\r\nPUB é 3\r\nü\n\r\nHPUB c 12 14\r\nNATS/1.0\r\n\r\nhi\r\nhpub c r 0 1\r\nx\r\nUNSUB 1\r\nUNSUB 2 7\r\n',
);

const CALLS = [
  ['connect', '{"verbose":false}'],
  ['ping'],
  ['pong'],
  ['subscribe', 'a.>', '', '1'],
  ['subscribe', 'b', 'q', '2'],
  ['announce', 'a.b', 5, false],
  ['publish', 'a.b', '', undefined, 'PING\r'],
  ['announce', 'a.b', 0, false],
  ['publish', 'a.b', 'r', undefined, ''],
  ['announce', 'é', 3, false],
  ['publish', 'é', '', undefined, 'ü\n'],
  ['announce', 'c', 14, true],
  ['publish', 'c', '', 'NATS/1.0\r\n\r\n', 'hi'],
  ['announce', 'c', 1, true],
  ['publish', 'c', 'r', undefined, 'x'],
  ['unsubscribe', '1', 0],
  ['unsubscribe', '2', 7],
];

describe('ClientParser', () => {
  test('reads every command', () => expect(parse([SCRIPT])).toEqual(CALLS));

  test('reads the same when the bytes arrive in two chunks, split anywhere', () => {
    for (let cut = 1; cut < SCRIPT.length; cut++) {
      expect(parse([SCRIPT.subarray(0, cut), SCRIPT.subarray(cut)])).toEqual(CALLS);
    }
  });

  test('reads the same when every byte arrives alone', () => {
    expect(parse(Array.from(SCRIPT, (byte) => Buffer.from([byte])))).toEqual(CALLS);
  });

  test('reads the same in chunks of any sizes', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 60, size: 'max' }), (sizes) => {
        const chunks: Buffer[] = [];
        let position = 0;
        for (const size of sizes) {
          chunks.push(SCRIPT.subarray(position, position + size));
          position += size;
        }
        chunks.push(SCRIPT.subarray(position));
        expect(parse(chunks.filter((chunk) => chunk.length > 0))).toEqual(CALLS);
      }),
    );
  });

  test('keeps no reference to a chunk that is overwritten later', () => {
    const recorder = new Recorder();
    const parser = new ClientParser(recorder);
    for (const part of ['PU', 'B a 3\r\nx', 'yz\r', '\nSU', 'B a 1\r\n']) {
      const lent = Buffer.from(part);
      parser.push(lent);
      lent.fill(0);
    }
    expect(recorder.calls).toEqual([
      ['announce', 'a', 3, false],
      ['publish', 'a', '', undefined, 'xyz'],
      ['subscribe', 'a', '', '1'],
    ]);
  });

  test.each([
    ['P', []],
    ['PX', [['end', 'Unknown Protocol Operation']]],
    ['H', []],
    ['HPUBx', [['end', 'Unknown Protocol Operation']]],
    ['\r', [['end', 'Unknown Protocol Operation']]],
    [
      'PUB a 2\r\nhix',
      [
        ['announce', 'a', 2, false],
        ['end', 'Unknown Protocol Operation'],
      ],
    ],
    [`SUB ${'a'.repeat(4096)}`, []],
    [`SUB ${'a'.repeat(4097)}`, [['end', 'maximum control line exceeded']]],
  ])('checks an unfinished line by the part received so far: %j', (given, calls) => {
    expect(parse([Buffer.from(given)])).toEqual(calls);
    expect(parse(Array.from(Buffer.from(given), (byte) => Buffer.from([byte])))).toEqual(calls);
  });

  test('does not buffer a line that never ends', () => {
    const recorder = new Recorder();
    const parser = new ClientParser(recorder);
    parser.push(Buffer.from('PING'));
    for (let chunk = 0; chunk < 200; chunk++) parser.push(Buffer.alloc(65_536, 'x'));
    parser.push(Buffer.from('\nPUB '));
    for (let chunk = 0; chunk < 200; chunk++) parser.push(Buffer.alloc(65_536, ' '));
    parser.push(Buffer.from('a 1\r\nx\r\n'));
    expect(recorder.calls).toEqual([['ping'], ['announce', 'a', 1, false], ['publish', 'a', '', undefined, 'x']]);
  });

  test('only calls commands or throws ProtocolError, for any bytes', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'PUB ',
        'SUB ',
        'HPUB ',
        'UNSUB ',
        'CONNECT ',
        'PING',
        '\r\n',
        '\n',
        ' ',
        '\t',
        'a',
        '1',
        '-',
        '12 ',
      ),
      fc.string({ maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30, size: 'max' }), fc.nat(), (pieces, cut) => {
        const bytes = Buffer.from(pieces.join(''));
        const whole = bytes.length === 0 ? [] : [bytes];
        const at = bytes.length < 2 ? 0 : 1 + (cut % (bytes.length - 1));
        const halves = at === 0 ? whole : [bytes.subarray(0, at), bytes.subarray(at)];
        expect(parse(halves)).toEqual(parse(whole));
      }),
      { numRuns: 2_000 },
    );
  });
});
