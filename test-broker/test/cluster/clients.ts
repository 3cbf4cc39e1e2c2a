import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { MovableClock } from '../../src/clock.js';

const PROTO = fileURLToPath(new URL('../../../proto/api.proto', import.meta.url));
const definition = loadPackageDefinition(
  loadSync(PROTO, { longs: Number, enums: String, defaults: true, keepCase: false }),
);
const { API: Api } = definition.proto as Record<'API', ServiceClientConstructor>;

/** Upper limit of a wait. Only a hang reaches it. */
const HANG_LIMIT_MS = 60_000;

/** Far longer than any test. */
const DEADLINE_MS = 3_600_000;

// biome-ignore lint/suspicious/noExplicitAny: responses are read field by field, as any client would do.
export type Answer = any;

/** How a call failed: the name of the status and its text. */
export interface Failure {
  readonly code: string;
  readonly details: string;
}

/** A subscription with its messages so far. */
export interface Subscription {
  /** Values of the messages, without the first empty one. */
  readonly values: string[];
  readonly offsets: number[];
  /** Resolves when it is live; rejects with Failure when it fails first. */
  readonly live: Promise<void>;
  /** How it ended. */
  readonly ended: Promise<Failure>;
  /** Resolves once this many messages have arrived. */
  count(messages: number): Promise<void>;
  cancel(): void;
}

/** A client of one broker, without this project's client package. */
export class ApiClient {
  readonly #client;

  constructor(address: string) {
    this.#client = new Api(address, credentials.createInsecure(), { 'grpc.initial_reconnect_backoff_ms': 20 });
  }

  /** Calls a unary RPC; rejects with {@link Failure}. `deadline`: milliseconds, null for none. */
  call(method: string, request: object = {}, deadline: number | null = HANG_LIMIT_MS): Promise<Answer> {
    const options = deadline === null ? {} : { deadline: Date.now() + deadline };
    return new Promise((resolve, reject) => {
      this.#client[method]!(request, options, (error: ServiceError | null, answer: Answer) =>
        error ? reject(failure(error)) : resolve(answer),
      );
    });
  }

  createStream(name: string, request: object = {}, deadline?: number): Promise<Answer> {
    return this.call('createStream', { name, subject: name, ...request }, deadline);
  }

  /** Publishes text and returns the ack. */
  async publish(
    stream: string,
    value: string,
    request: object = {},
    deadline: number | null = HANG_LIMIT_MS,
  ): Promise<Answer> {
    return (await this.call('publish', { stream, value: Buffer.from(value), ...request }, deadline)).ack;
  }

  /** `deadline`: milliseconds, null for none. */
  subscribe(stream: string, request: object = {}, deadline: number | null = null): Subscription {
    const options = deadline === null ? {} : { deadline: Date.now() + deadline };
    return subscription(this.#client.subscribe!({ stream, startPosition: 'EARLIEST', ...request }, options));
  }

  publishAsync(): ClientDuplexStream<object, Answer> {
    return this.#client.publishAsync!();
  }

  /** Resolves once everything that this client has sent has arrived: its calls share a connection. */
  async arrived(): Promise<void> {
    await this.call('pauseStream', { name: 'no such stream' }).catch(() => {});
  }

  /** The end of a call without a response: its deadline passes on the brokers' clock. */
  async expired(clock: Pick<MovableClock, 'advance'>, method: string, request: object = {}): Promise<Failure> {
    const failed = this.call(method, request, DEADLINE_MS).catch((error: Failure) => error);
    await this.arrived();
    await clock.advance(DEADLINE_MS);
    return failed;
  }

  /** The failure of a publish whose ack never arrives. */
  unacknowledged(clock: Pick<MovableClock, 'advance'>, stream: string, value: string, request: object = {}) {
    return this.expired(clock, 'publish', { stream, value: Buffer.from(value), ...request });
  }

  /** Resolves once this broker leads a partition. */
  async leads(stream: string): Promise<void> {
    await eventually(
      () =>
        this.partition(stream).then(
          () => true,
          () => false,
        ),
      (leading) => leading,
    );
  }

  /** The metadata of a partition, from its leader. */
  async partition(stream: string, partition = 0): Promise<Answer> {
    return (await this.call('fetchPartitionMetadata', { stream, partition })).metadata;
  }

  close(): void {
    this.#client.close();
  }
}

function failure(error: ServiceError): Failure {
  return { code: status[error.code], details: error.details };
}

function subscription(call: ClientReadableStream<Answer>): Subscription {
  const values: string[] = [];
  const offsets: number[] = [];
  let waiting: { readonly count: number; resolve(): void }[] = [];
  let begin: () => void = () => {};
  let fail: (error: Failure) => void = () => {};
  const live = new Promise<void>((resolve, reject) => {
    begin = resolve;
    fail = reject;
  });
  live.catch(() => {});
  const ended = new Promise<Failure>((resolve) => {
    call.on('status', ({ code, details }) => resolve({ code: status[code], details }));
  });
  call.on('error', (error: ServiceError) => fail(failure(error)));
  call.on('data', (message: Answer) => {
    if (message.stream === '') return begin();
    values.push(message.value.toString());
    offsets.push(message.offset);
    const due = waiting.filter(({ count }) => count <= values.length);
    waiting = waiting.filter(({ count }) => count > values.length);
    for (const { resolve } of due) resolve();
  });
  const count = (messages: number) => {
    if (values.length >= messages) return Promise.resolve();
    return new Promise<void>((resolve) => waiting.push({ count: messages, resolve }));
  };
  return { values, offsets, live, ended, count, cancel: () => call.cancel() };
}

/** Repeats a call until its result fits, for changes that happen a little later. */
export async function eventually<T>(ask: () => Promise<T> | T, fits: (answer: T) => boolean): Promise<T> {
  const limit = performance.now() + HANG_LIMIT_MS;
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    if (performance.now() > limit) throw new Error(`still ${JSON.stringify(answer)} after ${HANG_LIMIT_MS} ms`);
    await sleep(5);
  }
}
