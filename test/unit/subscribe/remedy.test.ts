import { describe, expect, it } from 'vitest';
import { CallMetadataError } from '../../../src/errors/call-metadata.js';
import { ConnectionError, PermissionDeniedError, StreamDeletedError, TimeoutError } from '../../../src/errors.js';
import { remedyOfEnd, remedyOfFailure } from '../../../src/subscribe/remedy.js';
import { NotConfirmed } from '../../../src/subscribe/subscribe-call.js';
import {
  errorOfEnd,
  noSuchStream,
  notConfirmed,
  seemsUnknown,
  streamDeleted,
} from '../../../src/subscribe/subscribe-errors.js';
import { RpcFailure } from '../../../src/transport/status.js';
import { type StreamEnd, transportEnd } from '../../../src/transport/stream-end.js';
import { LOST, refusal } from './fakes.js';

const PLACE = { stream: 'orders', partition: 2, broker: 'a' };
const TOO_LARGE = transportEnd(8, 'received message larger than max (5 vs. 4)', true);
const told = (remedy: { kind: string; error?: unknown; isCutBack?: boolean }) =>
  [remedy.kind, (remedy.error as { code?: string } | undefined)?.code, remedy.isCutBack].filter(
    (part) => part !== undefined,
  );

describe('the remedy for an attempt', () => {
  it.each<[string, StreamEnd, unknown[]]>([
    ['a clean end', refusal(0, ''), ['retry', 'CONNECTION']],
    ['a lost connection', LOST, ['retry', 'CONNECTION']],
    ['a message beyond the limit of the client', TOO_LARGE, ['fail', 'MESSAGE_TOO_LARGE']],
    ['a stream that the transport does not find', transportEnd(5, 'HTTP 404', true), ['retry', 'CONNECTION']],
    ['an unknown partition', refusal(5, 'no such partition'), ['check-existence', 'NO_SUCH_PARTITION']],
    ['another leader', refusal(9, 'Server not partition leader'), ['retry', 'CONNECTION']],
    ['an election', refusal(13, 'no known metadata leader'), ['retry', 'SERVER']],
    ['a stop offset that is reached', refusal(8, 'Stop offset reached'), ['done']],
    ['the end of a readonly partition', refusal(8, 'End of readonly partition'), ['done']],
    ['a stop before the start', refusal(3, 'Stop offset is before start offset'), ['done']],
    ['a readonly partition without messages', refusal(8, 'Stream is empty'), ['empty', 'READONLY_PARTITION', false]],
    ['a log that ends before the start', refusal(13, 'segment not found'), ['empty', 'SERVER', true]],
    ['no offset for a time', refusal(13, 'failed to find log segment for timestamp: EOF'), ['retry', 'SERVER']],
    ['a denied permission', refusal(7, 'denied'), ['fail', 'PERMISSION_DENIED']],
  ])('that ends with %s', (_what, end, expected) => {
    expect(told(remedyOfFailure(new NotConfirmed(end), PLACE))).toEqual(expected);
  });

  it.each([
    [false, 'retry'],
    [true, 'fail'],
  ])('whose metadata could not be had depends on whether that may pass: invalid %s', (isInvalid, kind) => {
    const end = { ...LOST, cause: new CallMetadataError('no token', isInvalid, undefined) };
    expect(told(remedyOfFailure(new NotConfirmed(end), PLACE))).toEqual([kind, 'HANDLER_FAILED']);
  });

  it.each<[unknown, unknown[]]>([
    [new RpcFailure(4, 'late', { sent: true }), ['retry', 'TIMEOUT']],
    [new ConnectionError('refused', { reason: 'refused' }), ['retry', 'CONNECTION']],
    [new PermissionDeniedError('no'), ['fail', 'PERMISSION_DENIED']],
    [new Error('a defect'), ['fail']],
  ])('that fails with %s', (error, expected) => {
    expect(told(remedyOfFailure(error, PLACE))).toEqual(expected);
  });
});

describe('the remedy for an open call', () => {
  it.each<[string, StreamEnd, unknown[]]>([
    ['a clean end', refusal(0, ''), ['retry', 'CONNECTION']],
    ['a lost connection', LOST, ['retry', 'CONNECTION']],
    ['a stop offset that is reached', refusal(8, 'Stop offset reached'), ['stop-reached', 'READONLY_PARTITION']],
    ['the end of a reverse read', refusal(2, 'EOF'), ['stop-reached', 'SERVER']],
    ['the end of a readonly partition', refusal(8, 'End of readonly partition'), ['done']],
    ['a readonly partition without messages', refusal(8, 'Stream is empty'), ['done']],
    ['a denied permission', refusal(7, 'denied'), ['fail', 'PERMISSION_DENIED']],
    ['a message beyond the limit of the client', TOO_LARGE, ['fail', 'MESSAGE_TOO_LARGE']],
  ])('that ends with %s', (_what, end, expected) => {
    expect(told(remedyOfEnd(end, PLACE))).toEqual(expected);
  });
});

describe('the error for the end of a call', () => {
  it('says how it broke, and keeps the cause', () => {
    const cause = new Error('reset');
    const lost = errorOfEnd('Subscription', { ...LOST, cause }, PLACE);
    expect(lost).toMatchObject({ ...PLACE, reason: 'lost', operation: 'Subscription', cause });
    expect(lost.message).toContain('connection lost');
    expect(errorOfEnd('Subscription', refusal(0, ''), PLACE).message).toContain('the broker ended it');
    const denied = errorOfEnd('Subscribe', { ...refusal(7, 'denied'), cause }, PLACE);
    expect(denied).toMatchObject({ code: 'PERMISSION_DENIED', ...PLACE, cause });
  });
});

describe('the errors of subscriptions', () => {
  it('tell a stream that was recreated from one that is gone', () => {
    expect(streamDeleted(PLACE)).toBeInstanceOf(StreamDeletedError);
    expect(streamDeleted(PLACE).message).toContain('created again');
    const cause = noSuchStream('orders');
    expect(streamDeleted(PLACE, cause).message).toContain('does not know the stream');
    expect(streamDeleted(PLACE, cause)).toMatchObject({ cause, stream: 'orders', partition: 2 });
    expect([cause, streamDeleted(PLACE), new Error('other')].map(seemsUnknown)).toEqual([true, false, false]);
  });

  it('show the last failure of a subscription that was not confirmed where that says more', () => {
    const lost = new ConnectionError('lost', { reason: 'lost' });
    expect(notConfirmed(PLACE, 100, lost)).toBe(lost);
    const late = new TimeoutError('late');
    expect(notConfirmed(PLACE, 100, late)).toMatchObject({ code: 'TIMEOUT', cause: late });
  });
});
