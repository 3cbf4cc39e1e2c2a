import { describe, expect, it } from 'vitest';
import { CONSUMER_DEFAULTS, pollInterval, resolveConsumerOptions } from '../../../src/consumer/consumer-options.js';
import { deadLetterHeaders } from '../../../src/consumer/delivery/dead-letter.js';
import { isFenced, pollFailure } from '../../../src/consumer/membership/poll-failure.js';
import { MessageBuffer } from '../../../src/consumer/partitions/message-buffer.js';
import { decodeMark, encodeMark } from '../../../src/consumer/partitions/ownership.js';
import {
  ClosedError,
  ConnectionError,
  errorFromStatus,
  InvalidArgumentError,
  TimeoutError,
} from '../../../src/errors.js';
import { ReceivedMessage } from '../../../src/protocol/received-message.js';

describe('a mark', () => {
  it.each(['held', 'releasing', 'released'] as const)('of a partition that is %s survives its cursor', (state) => {
    const mark = { generation: 123_456_789n, owner: 2n ** 31n - 1n, state };
    const cursor = encodeMark(mark);
    expect(decodeMark(cursor)).toEqual(mark);
    expect(cursor < 2n ** 63n).toBe(true);
  });

  it('grows from state to state and from owner to owner, for servers that answer with the highest cursor', () => {
    const order = [
      { generation: 1n, owner: 9n, state: 'held' },
      { generation: 1n, owner: 9n, state: 'releasing' },
      { generation: 1n, owner: 9n, state: 'released' },
      { generation: 2n, owner: 3n, state: 'held' },
    ] as const;
    const cursors = order.map(encodeMark);
    expect([...cursors].sort((a, b) => (a < b ? -1 : 1))).toEqual(cursors);
  });

  it('is none where there is no cursor', () => {
    expect(decodeMark(-1n)).toBeNull();
  });
});

function messages(...offsets: number[]): ReceivedMessage[] {
  return offsets.map((offset) => Object.assign(new ReceivedMessage(), { offset: BigInt(offset) }));
}

describe('MessageBuffer', () => {
  it('pauses the broker at its limit, and lets it continue when most is taken', () => {
    const told: string[] = [];
    const owner = { pause: () => told.push('pause'), resume: () => told.push('resume') };
    const buffer = new MessageBuffer(owner, () => 100);
    buffer.push(messages(0, 1), 60);
    expect(told).toEqual([]);
    buffer.push(messages(2, 3), 60);
    expect(told).toEqual(['pause']);
    for (const expected of [0n, 1n, 2n]) expect(buffer.shift()?.offset).toBe(expected);
    expect(told).toEqual(['pause']);
    expect(buffer.shift()?.offset).toBe(3n);
    expect(told).toEqual(['pause', 'resume']);
    expect(buffer.shift()).toBeNull();
  });

  it('takes no empty batch', () => {
    const buffer = new MessageBuffer({ pause: () => undefined, resume: () => undefined }, () => 100);
    buffer.push([], 10);
    expect([buffer.isEmpty, buffer.firstOffset, buffer.shift()]).toEqual([true, null, null]);
  });

  it('skips every message before an offset, over batches and into one', () => {
    const buffer = new MessageBuffer({ pause: () => undefined, resume: () => undefined }, () => 100);
    buffer.push(messages(3, 4), 10);
    buffer.push(messages(7, 9), 10);
    expect(buffer.firstOffset).toBe(3n);
    buffer.skipTo(8n);
    expect(buffer.firstOffset).toBe(9n);
    buffer.skipTo(10n);
    expect(buffer.isEmpty).toBe(true);
  });
});

describe('pollFailure', () => {
  const refused = (details: string, code = 9) => errorFromStatus('FetchConsumerGroupAssignments', { code, details });
  it.each([
    [refused('client-provided group epoch differs from broker group epoch'), 'stale-epoch'],
    [refused('broker is not the consumer group coordinator'), 'not-coordinator'],
    [refused('consumer is not a member of the consumer group'), 'denied'],
    [refused('consumer group does not exist', 5), 'denied'],
    [refused('consumer not active for server (no timer)', 2), 'unreachable'],
    [new ConnectionError('gone', { reason: 'lost' }), 'unreachable'],
    [new TimeoutError('late'), 'unreachable'],
    [refused('No groupId provided', 3), 'fatal'],
    [new ClosedError('closed'), 'fatal'],
    [new ConnectionError('no certificate', { reason: 'tls-rejected' }), 'fatal'],
    [new Error('a defect'), 'fatal'],
  ])('maps %s to %s', (error, expected) => {
    expect(pollFailure(error)).toBe(expected);
  });

  it('tells apart the refusal of a broker where a later epoch reads', () => {
    const text = 'Consumer is not currently assigned this partition';
    expect(isFenced(errorFromStatus('Subscribe', { code: 9, details: text }))).toBe(true);
    expect(isFenced(errorFromStatus('Subscribe', { code: 9, details: 'Server not partition leader' }))).toBe(false);
  });
});

describe('the options of a consumer', () => {
  it('have their defaults, and an id of their own', () => {
    const [one, other] = [resolveConsumerOptions('g'), resolveConsumerOptions('g')];
    expect(one).toMatchObject(CONSUMER_DEFAULTS);
    expect(one.consumerId).not.toBe(other.consumerId);
    expect(pollInterval(one, 15_000)).toBe(6_000);
    expect(resolveConsumerOptions('g', { autoCheckpoint: 0 }).autoCheckpoint).toBe(false);
  });

  it.each([
    ['', {}, 'groupId'],
    ['g', { consumerId: '' }, 'consumerId'],
    ['g', { autoCheckpoint: -1 }, 'autoCheckpoint'],
    ['g', { autoCheckpoint: true }, 'autoCheckpoint'],
    ['g', { autoOffset: 'oldest' }, 'autoOffset'],
    ['g', { fetchAssignmentsInterval: 5 }, 'fetchAssignmentsInterval'],
    ['g', { revokeTimeout: '1s' }, 'revokeTimeout'],
    ['g', { onAssigned: 'x' }, 'onAssigned'],
    ['g', { onRevoked: 'x' }, 'onRevoked'],
    ['g', { consumerID: 'x' }, 'unknown option consumerID'],
  ])('are refused by name: group "%s", %j', (groupId, options, text) => {
    expect(() => resolveConsumerOptions(groupId, options as object)).toThrow(InvalidArgumentError);
    expect(() => resolveConsumerOptions(groupId, options as object)).toThrow(text);
  });

  it.each([0, Number.NaN, '5', undefined])('refuse an interval function that answers %s', (answer) => {
    const options = resolveConsumerOptions('g', { fetchAssignmentsInterval: () => answer as number });
    expect(() => pollInterval(options, 1_000)).toThrow(/fetchAssignmentsInterval/);
  });
});

describe('the headers of a dead letter', () => {
  it('keep those of the message, but not those of the broker, and stay small', () => {
    const headers = { trace: Buffer.from('t'), subject: Buffer.from('s'), reply: Buffer.from('r') };
    const message = { stream: 'jobs', partition: 3, offset: 9n, timestamp: 5n, key: null, headers };
    const failure = { groupId: 'g', error: new Error('x'.repeat(10_000)), attempts: 4 };
    const built = deadLetterHeaders(message as never, failure);
    expect(Object.keys(built).filter((name) => !name.startsWith('dead-letter-'))).toEqual(['trace']);
    expect(built).toMatchObject({ 'dead-letter-key': '', 'dead-letter-offset': '9', 'dead-letter-attempts': '4' });
    expect((built['dead-letter-error'] as string).length).toBe(4_096);
  });
});
