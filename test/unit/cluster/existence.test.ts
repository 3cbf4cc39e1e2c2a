import { afterEach, describe, expect, it } from 'vitest';
import { monotonicNow } from '../../../src/async/clock.js';
import { ExistenceCheck } from '../../../src/cluster/existence.js';
import type { StreamInfo } from '../../../src/cluster/metadata.js';
import type { MetadataAnswer, Sought, Testimony } from '../../../src/cluster/metadata-answer.js';
import { Sightings } from '../../../src/cluster/sightings.js';
import { untilCertain } from '../../../src/cluster/until-certain.js';
import { CLIENT_DEFAULTS } from '../../../src/options.js';

const CREATED = 1_700_000_000_000;

/** A broker whose answers a test writes: the streams that it names, with their creation times, or no answer at all. */
class ScriptedBroker {
  connectedSince: number | null;
  hasFailed = false;
  streams: Record<string, number> = {};
  groups: string[] = [];
  isSilent = false;
  asked = 0;

  constructor(
    readonly id: string,
    connectedFor = 60_000,
  ) {
    this.connectedSince = monotonicNow() - connectedFor;
  }

  /** The process ends and another one takes its place: it knows nothing yet. */
  restart(): void {
    // In the future, so that it does not grow old while a slow machine runs the test.
    this.connectedSince = monotonicNow() + 60_000;
    this.hasFailed = true;
    this.streams = {};
    this.groups = [];
  }

  answer(): MetadataAnswer {
    const streams = Object.entries(this.streams).map(([name, createdAt]) => [name, infoOf(name, createdAt)] as const);
    return {
      updatedAt: new Date(),
      brokers: new Map(),
      streams: new Map(streams),
      groups: new Map(this.groups.map((id) => [id, { id, coordinator: null, epoch: 0n }])),
      answeredBy: this.id,
      strangers: new Map(),
      from: this.testimony,
    };
  }

  get testimony(): Testimony {
    return { witness: this, since: this.connectedSince };
  }
}

function infoOf(name: string, createdAt: number): StreamInfo {
  return { name, subject: name, createdAt: new Date(createdAt), partitions: new Map() };
}

const closing: AbortController[] = [];

afterEach(() => {
  for (const one of closing.splice(0)) one.abort(new Error('the test is over'));
});

function setUp(...brokers: ScriptedBroker[]) {
  const sightings = new Sightings();
  const cached = new Map<string, number>();
  const forgotten: Sought[] = [];
  const closed = new AbortController();
  closing.push(closed);
  const hear = (broker: ScriptedBroker): MetadataAnswer => {
    broker.asked++;
    const answer = broker.answer();
    sightings.note(answer);
    for (const [name, { createdAt }] of answer.streams) cached.set(name, createdAt.getTime());
    return answer;
  };
  const check = new ExistenceCheck({
    sightings,
    patience: 30_000,
    logger: CLIENT_DEFAULTS.logger,
    closed: closed.signal,
    createdAt: (stream) => cached.get(stream) ?? null,
    testimony: (id) => brokers.find((broker) => broker.id === id)?.testimony ?? null,
    forget: (sought) => {
      sightings.forget(sought);
      forgotten.push(sought);
    },
    poll: async (_streams, _groups, heard, signal) => {
      const answering = brokers.filter(({ isSilent, connectedSince }) => !isSilent && connectedSince !== null);
      for (const broker of answering) {
        const answer = hear(broker);
        if (!signal.aborted) heard(answer);
      }
      if (answering.length === brokers.length || signal.aborted) return;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
  });
  const existence = (sought: Sought) => check.decide(sought);
  return { check, existence, sightings, hear, forgotten, closed, brokers };
}

const stream = { stream: 'orders' };
const group = { group: 'workers' };

describe('a stream that this client has seen', () => {
  it('is present as soon as one broker knows it, however many do not', async () => {
    const [one, two] = [new ScriptedBroker('one'), new ScriptedBroker('two')];
    const { existence, hear } = setUp(one, two);
    two.streams = { orders: CREATED };
    hear(two);
    one.restart();
    expect(await existence(stream)).toBe('present');
  });

  it('is gone when the broker that has named it on this connection names it no more', async () => {
    const broker = new ScriptedBroker('one', 100);
    const { existence, hear, forgotten, sightings } = setUp(broker);
    broker.streams = { orders: CREATED };
    hear(broker);
    broker.streams = {};
    broker.asked = 0;
    expect(await existence(stream)).toBe('gone');
    expect(broker.asked).toBe(3);
    expect(forgotten).toEqual([stream]);
    expect(sightings.hasSeen(stream)).toBe(false);
  });

  it('is not gone when the only broker was started again, whatever it knows', async () => {
    const broker = new ScriptedBroker('one');
    const { existence, hear, forgotten } = setUp(broker);
    broker.streams = { orders: CREATED };
    hear(broker);
    broker.restart();
    expect(await existence(stream)).toBe('unsure');
    broker.streams = { others: CREATED };
    expect(await existence(stream)).toBe('unsure');
    expect(forgotten).toEqual([]);
  });

  it('is not gone because one look in the middle did not find it', async () => {
    const broker = new ScriptedBroker('one');
    const { check, hear } = setUp(broker);
    broker.streams = { orders: CREATED };
    hear(broker);
    broker.streams = {};
    const decided = check.decide(stream);
    broker.streams = { orders: CREATED };
    expect(await decided).toBe('present');
  });

  it('is gone when a broker that was connected all along does not know it, although it never named it', async () => {
    const [one, two] = [new ScriptedBroker('one'), new ScriptedBroker('two')];
    const { existence, hear, sightings, brokers } = setUp(one, two);
    two.streams = { orders: CREATED };
    hear(two);
    // Just named by another broker: this one may not have heard of it yet.
    expect(sightings.isCertain(stream, CREATED, one.testimony)).toBe(false);
    brokers.pop();
    expect(await untilCertain({ existence }, stream)).toBe('gone');
  });

  it('is unsure while no broker answers', async () => {
    const broker = new ScriptedBroker('one');
    const { check, hear } = setUp(broker);
    broker.streams = { orders: CREATED };
    hear(broker);
    broker.isSilent = true;
    expect(await check.decide(stream, { timeout: 20 })).toBe('unsure');
  });

  it('is gone after the patience, whichever broker does not know it', async () => {
    const broker = new ScriptedBroker('one');
    const { existence, hear, sightings } = setUp(broker);
    broker.streams = { orders: CREATED };
    hear(broker);
    broker.restart();
    const missingFor = sightings.missingFor.bind(sightings);
    sightings.missingFor = (sought) => missingFor(sought) + 30_000;
    expect(await existence(stream)).toBe('gone');
  });

  it('is gone at once when the broker whose call it ended on has named it', async () => {
    const broker = new ScriptedBroker('one');
    const { existence, hear } = setUp(broker);
    broker.streams = { orders: CREATED };
    hear(broker);
    broker.asked = 0;
    expect(await existence({ ...stream, createdAt: CREATED, deletedBy: 'one' })).toBe('gone');
    expect(broker.asked).toBe(0);
  });

  it('is not gone because a broker that recovers has deleted an older one of its name', async () => {
    const broker = new ScriptedBroker('one');
    const { existence, hear } = setUp(broker);
    broker.streams = { orders: CREATED };
    hear(broker);
    broker.restart();
    broker.streams = { orders: CREATED - 5_000 };
    hear(broker);
    broker.streams = {};
    expect(await existence({ ...stream, createdAt: CREATED, deletedBy: 'one' })).toBe('unsure');
  });

  it('is replaced when it was created later than the one that is meant', async () => {
    const broker = new ScriptedBroker('one', 10);
    const { existence } = setUp(broker);
    broker.streams = { orders: CREATED + 1 };
    expect(await existence({ ...stream, createdAt: CREATED })).toBe('replaced');
    expect(await existence({ ...stream, createdAt: CREATED + 1 })).toBe('present');
  });

  it('is not replaced by an older one that a recovering broker shows, but by one that a settled broker has', async () => {
    const broker = new ScriptedBroker('one');
    const { existence } = setUp(broker);
    broker.restart();
    broker.streams = { orders: CREATED - 1 };
    expect(await existence({ ...stream, createdAt: CREATED })).toBe('unsure');
    broker.connectedSince = monotonicNow() - 60_000;
    expect(await existence({ ...stream, createdAt: CREATED })).toBe('replaced');
  });
});

describe('a stream that this client has never seen', () => {
  it('is not there when a broker that has been up for long does not know it', async () => {
    const { existence } = setUp(new ScriptedBroker('one'));
    expect(await existence(stream)).toBe('gone');
  });

  it('is soon not there for a client that has just connected to a broker with streams', async () => {
    const broker = new ScriptedBroker('one', 0);
    const { existence } = setUp(broker);
    broker.streams = { others: CREATED };
    expect(await untilCertain({ existence }, stream, { timeout: 10_000 })).toBe('gone');
  });

  it('may be there while a broker that was started again knows no stream', async () => {
    const broker = new ScriptedBroker('one');
    const { existence } = setUp(broker);
    broker.restart();
    expect(await existence(stream)).toBe('unsure');
    broker.streams = { others: CREATED };
    expect(await existence(stream)).toBe('unsure');
  });

  it('may be there while a broker with no stream at all was connected only just now', async () => {
    const { existence } = setUp(new ScriptedBroker('one', -60_000));
    expect(await existence(stream)).toBe('unsure');
  });

  it('is present when one of several brokers knows it', async () => {
    const [one, two] = [new ScriptedBroker('one'), new ScriptedBroker('two')];
    const { existence, sightings } = setUp(one, two);
    two.streams = { orders: CREATED };
    expect(await existence(stream)).toBe('present');
    expect(sightings.hasSeen(stream)).toBe(true);
  });

  it('has been seen once it was created, so that a broker that lags behind is not believed', async () => {
    const broker = new ScriptedBroker('one');
    const { existence, sightings } = setUp(broker);
    sightings.noteCreated('orders');
    expect(sightings.hasSeen(stream)).toBe(true);
    expect(await existence(stream)).toBe('unsure');
  });
});

describe('a consumer group', () => {
  it('is gone when the broker that has named it names it no more, and not when that broker was started again', async () => {
    const broker = new ScriptedBroker('one');
    const { existence, hear } = setUp(broker);
    broker.groups = ['workers'];
    expect(await existence(group)).toBe('present');
    broker.restart();
    expect(await existence(group)).toBe('unsure');
    broker.groups = ['workers'];
    hear(broker);
    broker.groups = [];
    expect(await existence(group)).toBe('gone');
  });
});

describe('the decision', () => {
  it('is made once for all who ask at the same time', async () => {
    const broker = new ScriptedBroker('one');
    const { existence } = setUp(broker);
    expect(await Promise.all([existence(stream), existence(stream), existence(stream)])).toEqual([
      'gone',
      'gone',
      'gone',
    ]);
    expect(broker.asked).toBe(3);
  });

  it('ends with the signal of one who asks, and with the client', async () => {
    const broker = new ScriptedBroker('one');
    const { check, closed } = setUp(broker);
    broker.isSilent = true;
    const mine = new AbortController();
    const [first, second] = [check.decide(stream, { signal: mine.signal }), check.decide(stream)];
    mine.abort(new Error('mine'));
    await expect(first).rejects.toThrow('mine');
    closed.abort(new Error('closed'));
    await expect(second).rejects.toThrow('closed');
  });

  it('is asked for again until it is certain, or the time is up', async () => {
    let asked = 0;
    const cluster = { existence: async () => (++asked < 3 ? 'unsure' : 'present') as 'unsure' | 'present' };
    expect(await untilCertain(cluster, stream)).toBe('present');
    asked = Number.NEGATIVE_INFINITY;
    expect(await untilCertain(cluster, stream, { timeout: 20 })).toBe('unsure');
  });
});
