import { describe, expect, test } from 'vitest';
import { BusError, type BusMessage } from '../../src/nats/bus.js';
import { MemoryBus } from '../../src/nats/memory-bus.js';

const text = (message: BusMessage) => message.data.toString();

function collecting(bus: MemoryBus, subject: string, queue?: string) {
  const messages: BusMessage[] = [];
  const standing = bus.subscribe(subject, (message) => messages.push(message), queue === undefined ? {} : { queue });
  return { messages, standing };
}

describe('MemoryBus', () => {
  test('delivers before publish returns, in the order of the publishes', () => {
    const bus = new MemoryBus();
    const { messages } = collecting(bus, 'foo');
    for (const value of ['1', '2', '3']) bus.publish('foo', Buffer.from(value));
    expect(messages.map(text)).toEqual(['1', '2', '3']);
    expect(messages[0]).toMatchObject({ subject: 'foo', reply: '' });
  });

  test('delivers exactly the bytes of a Uint8Array that is a part of its buffer', () => {
    const bus = new MemoryBus();
    const { messages } = collecting(bus, 'foo');
    bus.publish('foo', new Uint8Array([1, 2, 3, 4]).subarray(1, 3));
    expect([...messages[0]!.data]).toEqual([2, 3]);
  });

  test('shows wildcard subscribers the concrete subject', () => {
    const bus = new MemoryBus();
    const star = collecting(bus, 'wc.*.x');
    const rest = collecting(bus, 'wc.>');
    bus.publish('wc.1.x', Buffer.from('v'), 'inbox');
    bus.publish('wc.*.x', Buffer.from('v'));
    expect(star.messages.map((message) => [message.subject, message.reply])).toEqual([
      ['wc.1.x', 'inbox'],
      ['wc.*.x', ''],
    ]);
    expect(rest.messages).toHaveLength(2);
  });

  test('gives each message to one member of a queue group and to every other subscriber', () => {
    const bus = new MemoryBus();
    const first = collecting(bus, 'foo', 'q');
    const second = collecting(bus, 'foo.*', 'q');
    const other = collecting(bus, 'foo.>', 'other');
    const plain = collecting(bus, 'foo.a');
    const third = collecting(bus, 'foo.a', 'q');
    for (let turn = 0; turn < 400; turn++) bus.publish('foo.a', Buffer.alloc(0));
    expect(first.messages).toHaveLength(0);
    expect(second.messages.length + third.messages.length).toBe(400);
    // The choice is random: the probability that one of two gets fewer than 100 of 400 is below 1e-24.
    expect(Math.min(second.messages.length, third.messages.length)).toBeGreaterThan(100);
    expect(other.messages).toHaveLength(400);
    expect(plain.messages).toHaveLength(400);
  });

  test('stops delivering once a subscription is over, even within one delivery', () => {
    const bus = new MemoryBus();
    const seen: string[] = [];
    bus.subscribe('foo', () => {
      seen.push('first');
      second.unsubscribe();
      second.unsubscribe();
    });
    const second = bus.subscribe('foo', () => seen.push('second'));
    bus.publish('foo', Buffer.alloc(0));
    bus.publish('foo', Buffer.alloc(0));
    expect(seen).toEqual(['first', 'first']);
  });

  test('chooses another member when the selected member of the queue group has left during the delivery', () => {
    const bus = new MemoryBus({ random: () => 0 });
    const seen: string[] = [];
    bus.subscribe('foo', () => leaving.unsubscribe());
    const leaving = bus.subscribe('foo', () => seen.push('left'), { queue: 'q' });
    bus.subscribe('foo', () => seen.push('stayed'), { queue: 'q' });
    bus.publish('foo', Buffer.alloc(0));
    expect(seen).toEqual(['stayed']);
  });

  test('does not deliver a message to a subscription that its handler makes', () => {
    const bus = new MemoryBus();
    const late: string[] = [];
    bus.subscribe('foo', (message) => {
      if (text(message) === '1') bus.subscribe('foo', (again) => late.push(text(again)));
    });
    bus.publish('foo', Buffer.from('1'));
    bus.publish('foo', Buffer.from('2'));
    expect(late).toEqual(['2']);
  });

  test('delivers a message from a handler after the handled message, and before publish returns', () => {
    const bus = new MemoryBus();
    const seen: string[] = [];
    bus.subscribe('foo', (message) => {
      seen.push(`a${text(message)}`);
      if (text(message) === '1') bus.publish('foo', Buffer.from('2'));
    });
    bus.subscribe('foo', (message) => seen.push(`b${text(message)}`));
    bus.publish('foo', Buffer.from('1'));
    expect(seen).toEqual(['a1', 'b1', 'a2', 'b2']);
  });

  test('lets the event loop run while handlers keep responding to each other', async () => {
    const bus = new MemoryBus();
    let count = 0;
    let stop = false;
    bus.subscribe('echo', () => {
      count++;
      if (!stop) bus.publish('echo', Buffer.alloc(0));
    });
    bus.publish('echo', Buffer.alloc(0));
    await new Promise((resolve) => setImmediate(resolve));
    stop = true;
    await bus.flush();
    const after = count;
    expect(after).toBeGreaterThan(10_000);
    bus.publish('echo', Buffer.alloc(0));
    expect(count).toBe(after + 1);
  });

  test('reports a handler that throws and still delivers to the others', () => {
    const errors: unknown[] = [];
    const bus = new MemoryBus({ onError: (error, message) => errors.push([error, message.subject]) });
    const failure = new Error('broken handler');
    bus.subscribe('foo', () => {
      throw failure;
    });
    const { messages } = collecting(bus, 'foo');
    bus.publish('foo', Buffer.from('v'));
    expect(messages).toHaveLength(1);
    expect(errors).toEqual([[failure, 'foo']]);
  });

  test('splits a subject with a space into subject and reply', () => {
    const bus = new MemoryBus();
    const { messages } = collecting(bus, 'a');
    bus.publish('a b', Buffer.from('v'));
    expect(messages[0]).toMatchObject({ subject: 'a', reply: 'b' });
  });

  test('reports a message whose subject NATS cannot read, and does not deliver it', () => {
    const errors: unknown[] = [];
    const bus = new MemoryBus({ onError: (error) => errors.push(error) });
    const { messages } = collecting(bus, '>');
    bus.publish('a b c', Buffer.from('v'));
    bus.publish('a b', Buffer.from('v'), 'reply');
    bus.publish('a', Buffer.from('v'), 'c d');
    expect(messages).toEqual([]);
    expect(errors.map(String)).toEqual([
      'Error: message lost: NATS cannot read the subject "a b c"',
      'Error: message lost: NATS cannot read the subject "a b"',
      'Error: message lost: NATS cannot read the subject "a"',
    ]);
  });

  test('delivers to no subscription when the subject has an empty token', () => {
    const bus = new MemoryBus();
    const { messages } = collecting(bus, '>');
    for (const subject of ['a..b', '.a', 'a.']) bus.publish(subject, Buffer.alloc(0));
    expect(messages).toEqual([]);
  });

  test('publish throws BusError for an empty subject and for a payload above the maximum', () => {
    const bus = new MemoryBus({ maxPayload: 10 });
    expect(() => bus.publish('', Buffer.alloc(0))).toThrow(new BusError('nats: invalid subject'));
    expect(() => bus.publish('foo', Buffer.alloc(11))).toThrow(new BusError('nats: maximum payload exceeded'));
    const { messages } = collecting(bus, 'foo');
    bus.publish('foo', Buffer.alloc(10));
    expect(messages).toHaveLength(1);
    expect(new MemoryBus().maxPayload).toBe(1_048_576);
  });

  test('publishMessage counts headers as payload and forwards them', () => {
    const bus = new MemoryBus({ maxPayload: 20 });
    const { messages } = collecting(bus, 'foo');
    const headers = Buffer.from('NATS/1.0\r\n\r\n');
    expect(bus.publishMessage({ subject: 'foo', reply: '', data: Buffer.alloc(8), headers })).toBe(true);
    expect(messages[0]?.headers).toBe(headers);
    const tooBig = { subject: 'foo', reply: '', data: Buffer.alloc(9), headers };
    expect(() => bus.publishMessage(tooBig)).toThrow('nats: maximum payload exceeded');
  });

  test('publishMessage returns whether a subscription receives the message, and skips those of the publisher', () => {
    const bus = new MemoryBus();
    const owner = {};
    const message = { subject: 'foo', reply: '', data: Buffer.alloc(0) };
    const seen: string[] = [];
    expect(bus.publishMessage(message)).toBe(false);
    bus.subscribe('foo', () => seen.push('own'), { owner });
    expect(bus.publishMessage(message, owner)).toBe(false);
    expect(bus.publishMessage(message)).toBe(true);
    bus.subscribe('foo', () => seen.push('queue'), { queue: 'q' });
    expect(bus.publishMessage(message, owner)).toBe(true);
    expect(seen).toEqual(['own', 'queue']);
  });

  test('publishMessage returns the same during a delivery, before it delivers', () => {
    const bus = new MemoryBus();
    const answers: boolean[] = [];
    const seen: string[] = [];
    const message = (subject: string) => ({ subject, reply: '', data: Buffer.alloc(0) });
    bus.subscribe('single', ({ subject }) => seen.push(subject));
    bus.subscribe('queued', ({ subject }) => seen.push(subject), { queue: 'q', owner: bus });
    bus.subscribe('start', () => {
      answers.push(bus.publishMessage(message('single')), bus.publishMessage(message('queued')));
      answers.push(bus.publishMessage(message('queued'), bus), bus.publishMessage(message('unsubscribed')));
      expect(seen).toEqual([]);
    });
    bus.publish('start', Buffer.alloc(0));
    expect(answers).toEqual([true, true, false, false]);
    expect(seen).toEqual(['single', 'queued']);
  });

  test('subscribe throws BusError for a bad subject and a bad queue name', () => {
    const bus = new MemoryBus();
    for (const subject of ['', 'a b', 'foo.>.1', 'a..b']) {
      expect(() => bus.subscribe(subject, () => {})).toThrow(new BusError('nats: invalid subject'));
    }
    expect(() => bus.subscribe('a', () => {}, { queue: 'q r' })).toThrow(new BusError('nats: invalid queue name'));
  });

  test('rejects every call after close', async () => {
    const bus = new MemoryBus();
    const { messages, standing } = collecting(bus, 'foo');
    await bus.close();
    await bus.close();
    const closed = new BusError('nats: connection closed');
    expect(() => bus.publish('foo', Buffer.alloc(0))).toThrow(closed);
    expect(() => bus.subscribe('foo', () => {})).toThrow(closed);
    await expect(bus.flush()).rejects.toThrow(closed);
    standing.unsubscribe();
    expect(messages).toEqual([]);
  });
});
