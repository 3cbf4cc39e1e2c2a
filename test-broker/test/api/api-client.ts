import {
  type ChannelCredentials,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { wire } from 'liftbridge-client/protocol';
import { APIClient, APIService } from '../../../test/support/grpc-js-api.js';

type Definitions = APIService;
export type UnaryName = Exclude<Capitalize<keyof Definitions>, 'Subscribe' | 'PublishAsync'>;
export type RequestOf<N extends UnaryName> = Partial<Parameters<Definitions[Uncapitalize<N>]['requestSerialize']>[0]>;
type ResponseOf<N extends UnaryName> = ReturnType<Definitions[Uncapitalize<N>]['responseDeserialize']>;

/** How a call ended: the name of its status, and the text. */
export interface CallEnd {
  readonly status: string;
  readonly message: string;
}

/** Upper limit of a wait. Only a hang reaches it. */
const HANG_LIMIT_MS = 60_000;

/** A client of the plain API, through grpc-js: it returns the responses as they are on the wire. */
export class ApiClient {
  readonly #client: APIClient;

  constructor(address: string, security: ChannelCredentials = credentials.createInsecure()) {
    this.#client = new APIClient(address, security);
  }

  /** Makes a call. `deadline`: milliseconds, null for none. */
  call<N extends UnaryName>(
    name: N,
    request: RequestOf<N>,
    deadline: number | null = HANG_LIMIT_MS,
  ): Promise<ResponseOf<N>> {
    const key = (name[0]!.toLowerCase() + name.slice(1)) as Uncapitalize<N>;
    const { path, requestSerialize, responseDeserialize } = APIService[key] as unknown as MethodDefinition<
      RequestOf<N>,
      ResponseOf<N>
    >;
    const codec = wire[`${name}Request`] as unknown as { fromPartial(from: RequestOf<N>): RequestOf<N> };
    const options = deadline === null ? {} : { deadline: Date.now() + deadline };
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        codec.fromPartial(request),
        options,
        (error, response) => (error ? reject(error) : resolve(response!)),
      );
    });
  }

  /** How a call fails; throws when it does not. */
  async failure<N extends UnaryName>(name: N, request: RequestOf<N>, deadline?: number | null): Promise<CallEnd> {
    const answered = await this.call(name, request, deadline).catch((error: ServiceError) => endOf(error));
    if (!isEnd(answered))
      throw new Error(`${name} did not fail but answered ${JSON.stringify(answered, bigintsAsText)}`);
    return answered;
  }

  /** The end of a call with these bytes as its request. */
  raw(method: string, payload: Buffer): Promise<CallEnd> {
    const asItIs = (bytes: Buffer) => bytes;
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(`/proto.API/${method}`, asItIs, asItIs, payload, (error) =>
        resolve(error ? endOf(error) : { status: 'OK', message: '' }),
      );
    });
  }

  /** The end of a bidirectional call that sends these bytes. */
  async rawStream(method: string, payload: Buffer): Promise<CallEnd> {
    const asItIs = (bytes: Buffer) => bytes;
    const duplex = this.#client.makeBidiStreamRequest(`/proto.API/${method}`, asItIs, asItIs);
    duplex.write(payload);
    return (await new Receiving(duplex).all()).end;
  }

  subscribe(request: Partial<wire.SubscribeRequest>): Receiving<wire.Message> {
    return new Receiving(this.#client.subscribe(wire.SubscribeRequest.fromPartial(request)));
  }

  publishAsync(): PublishStream {
    return new PublishStream(this.#client.publishAsync());
  }

  async createStream(name: string, options: Partial<wire.CreateStreamRequest> = {}): Promise<void> {
    await this.call('CreateStream', { name, subject: name, ...options });
  }

  /** Publishes values, one after the other, and returns the acks. */
  async publish(stream: string, values: readonly string[], options: Partial<wire.PublishRequest> = {}) {
    const acks: wire.Ack[] = [];
    for (const value of values) {
      const { ack } = await this.call('Publish', {
        stream,
        value: Buffer.from(value),
        expectedOffset: -1n,
        ...options,
      });
      acks.push(ack!);
    }
    return acks;
  }

  close(): void {
    this.#client.close();
  }
}

/** The responses of a stream as they arrive. */
export class Receiving<T> {
  readonly #call: ClientReadableStream<T>;
  readonly #messages: T[] = [];
  #wake: () => void = () => {};
  #ended: CallEnd | null = null;

  constructor(call: ClientReadableStream<T>) {
    this.#call = call;
    call.on('data', (message: T) => {
      this.#messages.push(message);
      this.#wake();
    });
    call.on('error', () => {});
    call.on('status', ({ code, details }) => {
      this.#ended = { status: status[code]!, message: code === status.OK ? '' : details };
      this.#wake();
    });
  }

  get ended(): boolean {
    return this.#ended !== null;
  }

  /** The next message; throws when the stream ends instead. */
  async next(): Promise<T> {
    await this.#until(() => this.#messages.length > 0);
    const message = this.#messages.shift();
    if (message === undefined) throw new Error(`ended: ${JSON.stringify(this.#ended)}`);
    return message;
  }

  async take(count: number): Promise<T[]> {
    const taken: T[] = [];
    while (taken.length < count) taken.push(await this.next());
    return taken;
  }

  /** How the stream ends; throws when a message arrives first. */
  async end(): Promise<CallEnd> {
    await this.#until(() => this.#messages.length > 0);
    if (this.#messages.length > 0) throw new Error('a message came before the end');
    return this.#ended!;
  }

  /** Everything up to the end, and how it ended. */
  async all(): Promise<{ messages: T[]; end: CallEnd }> {
    await this.#until(() => false);
    return { messages: this.#messages.splice(0), end: this.#ended! };
  }

  cancel(): void {
    this.#call.cancel();
  }

  /** Reads nothing from the connection until `resume`. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  async #until(there: () => boolean): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake();
    }, HANG_LIMIT_MS);
    try {
      while (!there() && this.#ended === null) {
        if (late) throw new Error('nothing came');
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A PublishAsync stream. */
export class PublishStream extends Receiving<wire.PublishResponse> {
  readonly #duplex: ClientDuplexStream<wire.PublishRequest, wire.PublishResponse>;

  constructor(duplex: ClientDuplexStream<wire.PublishRequest, wire.PublishResponse>) {
    super(duplex);
    this.#duplex = duplex;
  }

  send(request: Partial<wire.PublishRequest>): void {
    this.#duplex.write(wire.PublishRequest.fromPartial({ expectedOffset: -1n, ...request }));
  }

  halfClose(): void {
    this.#duplex.end();
  }
}

function endOf({ code, details }: ServiceError): CallEnd {
  return { status: status[code]!, message: details };
}

function isEnd(answer: unknown): answer is CallEnd {
  return typeof answer === 'object' && answer !== null && 'status' in answer && 'message' in answer;
}

function bigintsAsText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
