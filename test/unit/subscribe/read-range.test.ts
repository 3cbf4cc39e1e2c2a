import { describe, expect, it } from 'vitest';
import { ReceivedMessage } from '../../../src/protocol/received-message.js';
import { planRead, readSubscribe, type SubscribeOptions } from '../../../src/subscribe/positions.js';
import { ReadRange } from '../../../src/subscribe/read-range.js';

function message(offset: number, timestamp = BigInt(offset) * 10n): ReceivedMessage {
  return Object.assign(new ReceivedMessage(), { offset: BigInt(offset), timestamp });
}

const boundsOf = (options: SubscribeOptions) => new ReadRange(planRead(readSubscribe('orders', options)));
const verdicts = (bounds: ReadRange, offsets: readonly number[]) =>
  offsets.map((offset) => bounds.judge(message(offset)));

describe('ReadRange', () => {
  it("continues behind the newest message with 'new'", () => {
    const bounds = boundsOf({});
    expect(bounds.remaining().start).toEqual({ at: 'new' });
    bounds.knowNewest(7n);
    expect(bounds.remaining().start).toEqual({ at: 'offset', offset: 8n });
    expect(verdicts(bounds, [6, 7, 8, 9])).toEqual(['drop', 'drop', 'deliver', 'deliver']);
    expect(bounds.next).toBe(10n);
  });

  it('goes back when a new leader knows less, as long as nothing was delivered', () => {
    const bounds = boundsOf({});
    bounds.knowNewest(7n);
    bounds.knowNewest(5n);
    expect(bounds.next).toBe(6n);
    bounds.judge(message(6));
    bounds.knowNewest(2n);
    expect(bounds.next).toBe(7n);
  });

  it("begins with the newest message with 'latest', at 0 when there is none", () => {
    const bounds = boundsOf({ startAt: 'latest' });
    bounds.knowNewest(7n);
    expect(bounds.next).toBe(7n);
    const empty = boundsOf({ startAt: 'latest' });
    empty.knowNewest(-1n);
    expect(empty.next).toBe(0n);
  });

  it('leaves out what comes before the start or again', () => {
    const bounds = boundsOf({ startAt: { offset: 5 } });
    expect(verdicts(bounds, [3, 4, 5, 5, 7])).toEqual(['drop', 'drop', 'deliver', 'drop', 'deliver']);
    expect(bounds.remaining().start).toEqual({ at: 'offset', offset: 8n });
  });

  it('ends with the stop offset, or in front of what lies behind it', () => {
    expect(verdicts(boundsOf({ startAt: 'earliest', stopAt: { offset: 2 } }), [0, 1, 2])).toEqual([
      'deliver',
      'deliver',
      'last',
    ]);
    expect(verdicts(boundsOf({ startAt: 'earliest', stopAt: { offset: 2 } }), [0, 3])).toEqual(['deliver', 'over']);
  });

  it('knows when nothing is left to read', () => {
    expect(boundsOf({ startAt: { offset: 5 }, stopAt: { offset: 4 } }).exhausted).toBe(true);
    const empty = boundsOf({ startAt: 'earliest', stopAt: 'latest' });
    expect(empty.exhausted).toBe(false);
    empty.knowNewest(-1n);
    expect(empty.exhausted).toBe(true);
    const bounds = boundsOf({ startAt: 'earliest', stopAt: 'latest' });
    bounds.knowNewest(1n);
    verdicts(bounds, [0]);
    expect(bounds.exhausted).toBe(false);
    verdicts(bounds, [1]);
    expect(bounds.exhausted).toBe(true);
  });

  it('leaves out what is older than the start time until the first that is not', () => {
    const bounds = boundsOf({ startAt: { time: 50n } });
    expect(bounds.unresolvedTime).toBe(50n);
    bounds.knowNewest(3n);
    bounds.resolveTime(4n);
    expect(bounds.unresolvedTime).toBeNull();
    expect(bounds.judge(message(4, 49n))).toBe('drop');
    expect(bounds.next).toBe(5n);
    expect(bounds.judge(message(5, 50n))).toBe('deliver');
    expect(bounds.judge(message(6, 40n))).toBe('deliver');
  });

  it('ends in front of the first message after the stop time, at the latest with the newest', () => {
    const bounds = boundsOf({ startAt: 'earliest', stopAt: { time: 20n } });
    bounds.knowNewest(9n);
    expect(verdicts(bounds, [0, 1, 2, 3])).toEqual(['deliver', 'deliver', 'deliver', 'over']);
    const short = boundsOf({ startAt: 'earliest', stopAt: { time: 200n } });
    short.knowNewest(1n);
    expect(verdicts(short, [0, 1])).toEqual(['deliver', 'last']);
  });

  it('reads down in reverse, to 0 or to its stop', () => {
    const bounds = boundsOf({ reverse: true, startAt: { offset: 50 } });
    bounds.knowNewest(2n);
    expect(bounds.next).toBe(2n);
    expect(verdicts(bounds, [2, 1, 0])).toEqual(['deliver', 'deliver', 'last']);
    const stopped = boundsOf({ reverse: true, stopAt: { offset: 5 } });
    stopped.knowNewest(9n);
    expect(verdicts(stopped, [9, 7, 4])).toEqual(['deliver', 'deliver', 'over']);
  });

  it('knows in reverse when nothing is left to read', () => {
    const down = (offset: number, stop?: number) =>
      boundsOf({ reverse: true, startAt: { offset }, stopAt: stop === undefined ? undefined : { offset: stop } });
    expect(down(0).exhausted).toBe(false);
    expect([down(3, 5), down(5, 5), down(6, 5)].map(({ exhausted }) => exhausted)).toEqual([true, false, false]);
    const last = down(0);
    last.judge(message(0));
    expect(last.exhausted).toBe(true);
    const unknown = boundsOf({ reverse: true, stopAt: { offset: 5 } });
    expect(unknown.exhausted).toBe(false);
  });

  it('begins a reverse read by time at the newest message at the latest', () => {
    const begins = (offset: bigint) => {
      const bounds = boundsOf({ reverse: true, startAt: { time: 50n } });
      bounds.knowNewest(7n);
      bounds.resolveTime(offset);
      return bounds.next;
    };
    expect([5n, 7n, 8n].map(begins)).toEqual([5n, 7n, 7n]);
  });

  it('asks for the newest offset only where the range depends on it', () => {
    const needs = (options: SubscribeOptions) => boundsOf(options).needsNewest;
    expect(
      [{}, { startAt: 'latest' }, { startAt: { time: 5n } }, { stopAt: 'latest' }].map((one) =>
        needs(one as SubscribeOptions),
      ),
    ).toEqual([true, true, true, true]);
    expect(needs({ startAt: 'earliest', stopAt: { time: 5n } })).toBe(true);
    expect(needs({ startAt: { offset: 3 }, reverse: true })).toBe(true);
    expect(needs({ startAt: { offset: 3 }, stopAt: { offset: 9 } })).toBe(false);
    expect(needs({ startAt: 'earliest' })).toBe(false);
  });

  it('notices a server that reads forward when asked to read in reverse', () => {
    const bounds = boundsOf({ reverse: true, startAt: { offset: 3 } });
    bounds.knowNewest(9n);
    expect(verdicts(bounds, [3, 4])).toEqual(['deliver', 'ascending']);
  });

  it('does not count the beginning of another call as ascending', () => {
    const bounds = boundsOf({ reverse: true });
    bounds.knowNewest(9n);
    verdicts(bounds, [9, 8]);
    bounds.remaining();
    expect(verdicts(bounds, [8, 7])).toEqual(['drop', 'deliver']);
  });
});
