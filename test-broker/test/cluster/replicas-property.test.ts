import * as fc from 'fast-check';
import {
  ByteWriter,
  beginEnvelope,
  decodeAckFields,
  ENVELOPE_ACK,
  ENVELOPE_MESSAGE,
  encodeMessage,
  readEnvelope,
  WireReader,
} from 'liftbridge-client/protocol';
import { describe, expect, it } from 'vitest';
import { MovableClock } from '../../src/clock.js';
import { Cluster } from '../../src/cluster/cluster.js';
import { Faults } from '../../src/faults.js';
import { MemoryBus } from '../../src/nats/memory-bus.js';
import { resolveGiven } from '../../src/settings.js';

const BROKERS = ['a', 'b', 'c'];
const LEADER = 0;
const ALL = 1;

function envelope(value: string, ackPolicy: number): Buffer {
  const writer = new ByteWriter();
  beginEnvelope(writer, ENVELOPE_MESSAGE);
  const fields = { offset: 0n, key: null, timestamp: 0n, stream: 's', partition: 0, subject: '', replySubject: '' };
  const ack = { ackInbox: 'acks', correlationId: value, ackPolicy: ackPolicy as 0 | 1 };
  encodeMessage(writer, { ...fields, ...ack, value: Buffer.from(value), headers: null });
  return writer.take();
}

/** A cluster without ports, and every message that was acknowledged once all in-sync replicas had it. */
class Bench {
  readonly clock = new MovableClock();
  readonly bus = new MemoryBus();
  readonly faults = new Faults();
  readonly warnings: string[] = [];
  readonly committed = new Map<number, string>();
  readonly cluster = new Cluster({
    brokers: BROKERS,
    clock: this.clock,
    bus: this.bus,
    settings: resolveGiven({ 'clustering.replica.max.lag.time': 40, 'clustering.replica.max.leader.timeout': 30 }),
    faults: this.faults,
    storage: () => null,
    warn: (message) => this.warnings.push(message),
  });
  #published = 0;

  async start(): Promise<void> {
    await this.cluster.start();
    this.bus.subscribe('acks', ({ data }) => this.#noteAck(data));
    const stream = { name: 's', subject: 's', group: '', replicationFactor: 3, partitionCount: 1, config: {} };
    await this.cluster.newest.propose({ kind: 'create-stream', ...stream }, { deadline: null, failurePrefix: '' });
    await this.cluster.settled();
  }

  publish(policy: number): void {
    this.bus.publish('s', envelope(`message ${this.#published++}`, policy));
  }

  stop(broker: number): void {
    this.cluster.stopBroker(BROKERS[broker]!);
  }

  restart(broker: number): void {
    this.cluster.startBroker(BROKERS[broker]!);
  }

  /** All brokers run, reach each other, and have had the time to agree. */
  async settle(): Promise<void> {
    this.faults.heal();
    for (const broker of BROKERS) this.cluster.startBroker(broker);
    for (let i = 0; i < 20; i++) await this.clock.advance(50);
    this.publish(ALL);
    for (let i = 0; i < 10; i++) await this.clock.advance(50);
  }

  /** The messages of the partition on each broker: offsets and values. */
  contents(): string[][] {
    return BROKERS.map((broker) => {
      const { log } = this.cluster.nodes.get(broker)!.replica('s', 0)!;
      return Array.from(log.records(), (record) => `${record.offset} ${record.value}`);
    });
  }

  close(): void {
    this.cluster.close();
    this.clock.stop();
  }

  #noteAck(data: Buffer): void {
    const reader = new WireReader();
    reader.open(data, readEnvelope(data, ENVELOPE_ACK), data.length);
    const ack = decodeAckFields(reader);
    if (ack.ackPolicy === ALL) this.committed.set(Number(ack.offset), ack.correlationId);
  }
}

type Step = (bench: Bench) => Promise<void> | void;
const broker = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(LEADER, ALL).map(
      (policy): Step =>
        (bench) =>
          bench.publish(policy),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.integer({ min: 1, max: 120 }).map(
      (ms): Step =>
        (bench) =>
          bench.clock.advance(ms),
    ),
  },
  {
    weight: 2,
    arbitrary: broker.map(
      (index): Step =>
        (bench) =>
          bench.stop(index),
    ),
  },
  {
    weight: 2,
    arbitrary: broker.map(
      (index): Step =>
        (bench) =>
          bench.restart(index),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom([0, 1], [1, 2], [0, 2]).map(
      ([i, j]): Step =>
        (bench) =>
          void bench.faults.partition(i!, j!),
    ),
  },
  { weight: 1, arbitrary: fc.constant<Step>((bench) => bench.faults.heal()) },
);

describe('the replicas of a partition', () => {
  it('finally agree and have every message acknowledged with ALL, after any stops and partitions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), async (steps) => {
        const bench = new Bench();
        try {
          await bench.start();
          for (const each of steps) await each(bench);
          await bench.settle();
          const [a, b, c] = bench.contents();
          expect(b).toEqual(a);
          expect(c).toEqual(a);
          expect(a).toEqual(
            expect.arrayContaining(Array.from(bench.committed, ([offset, value]) => `${offset} ${value}`)),
          );
          expect(bench.committed.size).toBeGreaterThan(0);
          expect(bench.warnings).toEqual([]);
        } finally {
          bench.close();
        }
      }),
      { numRuns: 100 },
    );
  });
});
