import { credentials, Metadata } from '@grpc/grpc-js';
import { wire } from 'liftbridge-client/protocol';

type Fields<T> = Partial<T>;

/** A message as a subscriber reads it, in text. */
export interface ReadMessage {
  readonly key: string;
  readonly value: string;
  readonly subject: string;
  readonly replySubject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly offset: bigint;
  readonly partition: number;
}

/** Bare calls of the API on the generated client, independent of what is tested. */
export class Streams {
  readonly #api: wire.APIClient;

  constructor(address: string) {
    this.#api = new wire.APIClient(address, credentials.createInsecure());
  }

  create(name: string, subject: string, options: Fields<wire.CreateStreamRequest> = {}): Promise<unknown> {
    const request = wire.CreateStreamRequest.fromPartial({ name, subject, ...options });
    return settled((done) => this.#api.createStream(request, done));
  }

  async publish(
    stream: string,
    value: string,
    options: Fields<wire.PublishRequest> = {},
  ): Promise<wire.Ack | undefined> {
    const request = wire.PublishRequest.fromPartial({
      stream,
      value: Buffer.from(value),
      expectedOffset: -1n,
      ...options,
    });
    const { ack } = await settled<wire.PublishResponse>((done) => this.#api.publish(request, NONE, deadline(), done));
    return ack;
  }

  async publishToSubject(
    subject: string,
    value: string,
    options: Fields<wire.PublishToSubjectRequest> = {},
  ): Promise<wire.Ack | undefined> {
    const request = wire.PublishToSubjectRequest.fromPartial({ subject, value: Buffer.from(value), ...options });
    const { ack } = await settled<wire.PublishToSubjectResponse>((done) =>
      this.#api.publishToSubject(request, NONE, deadline(), done),
    );
    return ack;
  }

  /** The first `count` messages of a partition, waiting for those that are still to come. */
  async take(stream: string, count: number, partition = 0): Promise<ReadMessage[]> {
    const startPosition = wire.StartPosition.EARLIEST;
    const call = this.#api.subscribe(wire.SubscribeRequest.fromPartial({ stream, partition, startPosition }));
    // What is read after the cancel is the answer to it.
    call.on('error', () => undefined);
    const messages: ReadMessage[] = [];
    for await (const message of call as AsyncIterable<wire.Message>) {
      // The first message of a subscription only confirms it.
      if (message.stream !== '') messages.push(asText(message));
      if (messages.length === count) break;
    }
    call.cancel();
    return messages;
  }

  close(): void {
    this.#api.close();
  }
}

const NONE = new Metadata();
const deadline = () => ({ deadline: Date.now() + 5_000 });

function settled<T>(start: (done: (error: Error | null, response: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, response) => (error === null ? resolve(response) : reject(error)));
  });
}

function asText(message: wire.Message): ReadMessage {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
  const { subject, replySubject, offset, partition } = message;
  const headers = Object.fromEntries([...message.headers].map(([name, value]) => [name, text(value)]));
  return { key: text(message.key), value: text(message.value), subject, replySubject, headers, offset, partition };
}
