import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  type Consumer,
  type ConsumerOptions,
  connect,
  LiftbridgeError,
  type Message,
} from 'liftbridge-client';
import { TestBroker, type TestBrokerOptions } from 'liftbridge-test-broker';
import { eventually } from '../support/eventually.js';
import { PATIENT } from '../support/patient.js';

/** Only the brokers' clock reaches these timeouts, so no member leaves its group because the machine is slow. */
export const LONG_TIMEOUTS = { consumerTimeout: 3_600_000, coordinatorTimeout: 3_600_000 };

/** Polls often although the group's timeout is long. */
export const OFTEN = { fetchAssignmentsInterval: () => 50 };

/** A member of a group with its loop and the result of the loop. */
export class Member {
  readonly consumer: Consumer;
  readonly processed: string[] = [];
  error: unknown = null;
  done: Promise<void> = Promise.resolve();

  constructor(
    readonly client: Client,
    readonly bench: Bench,
    options: ConsumerOptions,
  ) {
    this.consumer = client.createConsumer('group', { autoOffset: 'earliest', ...OFTEN, ...options });
  }

  async start(): Promise<this> {
    const messages = await this.consumer.subscribe(this.bench.streams);
    this.done = (async () => {
      for await (const message of messages) {
        this.processed.push(message.text());
        this.bench.note(message);
      }
    })().catch((error: unknown) => {
      this.error = error;
    });
    return this;
  }

  get partitions(): string[] {
    return [...this.consumer.assignments].flatMap(([stream, ids]) => ids.map((id) => `${stream}/${id}`));
  }
}

/** A broker with streams under load, and members that process them. */
export class Bench implements AsyncDisposable {
  readonly streams: string[] = [];
  readonly published: string[] = [];
  readonly processed = new Set<string>();
  readonly #counts = new Map<string, number>();
  readonly members: Member[] = [];
  readonly problems: unknown[] = [];
  readonly asyncErrors: unknown[] = [];
  /** Counts the rebalances that members have received. */
  rebalances = 0;
  readonly #clients: Client[] = [];
  #loading: Promise<void>[] = [];
  #stopped = false;

  private constructor(
    readonly broker: TestBroker,
    readonly publisher: Client,
  ) {
    this.#clients.push(publisher);
  }

  static async start(options: TestBrokerOptions, streams: Record<string, number>): Promise<Bench> {
    const broker = await TestBroker.start({ cursorsPartitions: 3, groups: LONG_TIMEOUTS, ...options });
    const bench = new Bench(broker, await connect(broker.addresses as string[], PATIENT));
    const replicationFactor = options.brokers === undefined || options.brokers === 1 ? 1 : 3;
    for (const [name, partitions] of Object.entries(streams)) {
      await bench.publisher.createStream(name, name, { partitions, replicationFactor });
      bench.streams.push(name);
    }
    return bench;
  }

  get partitions(): string[] {
    return this.streams.flatMap((stream) =>
      [...this.publisher.metadata.streams.get(stream)!.partitions.keys()].map((id) => `${stream}/${id}`),
    );
  }

  /** A member with its own client, as in another process. */
  async member(consumerId: string, options: ConsumerOptions = {}): Promise<Member> {
    const client = await connect(this.broker.addresses as string[], { ...PATIENT, resubscribeTimeout: 60_000 });
    client.on('asyncError', (error) => this.asyncErrors.push(error));
    client.on('rebalance', () => this.rebalances++);
    this.#clients.push(client);
    const member = new Member(client, this, { consumerId, ...options });
    this.members.push(member);
    return await member.start();
  }

  /** A publish that is retried after a failure may be stored twice: only the same offset means the same message. */
  note(message: Message): void {
    this.processed.add(message.text());
    const place = `${message.stream}/${message.partition} ${message.offset}`;
    this.#counts.set(place, (this.#counts.get(place) ?? 0) + 1);
  }

  /** Publishes to every partition until `settle`, one message for each partition in every interval of this many milliseconds. */
  load(every = 3): void {
    for (const place of this.partitions) {
      const publishing = this.#publish(place, every);
      // A failed test does not wait for it.
      publishing.catch(() => undefined);
      this.#loading.push(publishing);
    }
  }

  async #publish(place: string, every: number): Promise<void> {
    const [stream, partition] = place.split('/') as [string, string];
    for (let count = 0; !this.#stopped; count++) {
      const text = `${place}/${count}`;
      await this.#persist(stream, Number(partition), text);
      this.published.push(text);
      // Limits the rate: no test depends on the number of messages.
      await sleep(every);
    }
  }

  async #persist(stream: string, partition: number, text: string): Promise<void> {
    for (;;) {
      try {
        await this.publisher.publish(stream, text, { partition, timeout: 2_000, ackPolicy: 'all' });
        return;
      } catch (error) {
        if (this.#stopped && LiftbridgeError.is(error, 'CLOSED')) return;
        if (!LiftbridgeError.is(error) || !error.retryable) throw error;
      }
    }
  }

  /** Resolves after a part of the load; several such parts take longer than the poll interval of a member. */
  async passes(): Promise<void> {
    const before = this.published.length;
    await eventually('messages are published', () => this.published.length > before + 15 * this.partitions.length);
  }

  /** Stops publishing. */
  async finish(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loading);
    this.#loading = [];
  }

  /** Stops publishing and waits until every message is processed. */
  async settle(): Promise<void> {
    await this.finish();
    const missing = () => this.published.filter((text) => !this.processed.has(text));
    await eventually('every message is processed', () => missing().length === 0).catch((error) => {
      const held = this.members.map((member) => `${member.consumer.consumerId}: ${member.partitions.join(' ')}`);
      throw new Error(
        `${error.message}; missing ${missing().slice(0, 10).join(', ')} of ${missing().length}; ${held.join('; ')}`,
      );
    });
  }

  /** The messages that were processed more than once. */
  get repeated(): string[] {
    return [...this.#counts].filter(([, count]) => count > 1).map(([place, count]) => `${place} x${count}`);
  }

  /** Resolves when each partition is assigned to exactly one member. */
  async balanced(members = this.members): Promise<void> {
    const all = [...this.partitions].sort();
    const held = () => members.flatMap((member) => member.partitions).sort();
    await eventually(
      `${members.map((member) => member.consumer.consumerId).join(', ')} hold every partition`,
      () =>
        held().join() === all.join() &&
        members.every(
          (member) => Math.abs(member.partitions.length - all.length / members.length) < this.streams.length + 1,
        ),
    ).catch((error) => {
      throw new Error(`${error.message}, but ${held().join(' ')}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await Promise.allSettled(this.members.map((member) => member.consumer.close()));
    await Promise.allSettled(this.#clients.map((client) => client.close({ timeout: 500 })));
    await Promise.allSettled(this.#loading);
    await this.broker.close();
  }
}
