import { constants, type SecureServerOptions, type ServerHttp2Stream } from 'node:http2';
import {
  AckPolicy,
  FetchMetadataRequest,
  FetchMetadataResponse,
  type PublishAsyncError_Code,
  PublishRequest,
  PublishResponse,
} from '../../src/protocol/generated/api.js';
import { FrameSplitter, frame } from '../../src/transport/frames.js';
import { answer, answerTrailersOnly, type CallScript, GRPC_HEADERS, ScriptedPeer } from './scripted-peer.js';

const HOST = '127.0.0.1';
/** Status of a call that the peer does not serve. */
const UNIMPLEMENTED = 12;

/** One PublishAsync call as a scripted broker sees it. */
export class PublishCall {
  constructor(
    readonly broker: number,
    readonly stream: ServerHttp2Stream,
  ) {}

  /** Ends it with an HTTP/2 error code, such as REFUSED_STREAM: the call was not processed. */
  reset(code: number = constants.NGHTTP2_REFUSED_STREAM): void {
    this.stream.close(code);
  }
}

/** A publish that reached a scripted broker. */
export class ReceivedPublish {
  readonly value: string;

  constructor(
    readonly request: PublishRequest,
    readonly call: PublishCall,
    private readonly offsets: Map<string, bigint>,
  ) {
    this.value = Buffer.from(request.value).toString();
  }

  get broker(): number {
    return this.call.broker;
  }

  /** Acknowledges it, with the next offset of its partition. */
  ack(): void {
    const { stream, partition, correlationId, ackPolicy, ackInbox } = this.request;
    const place = `${stream}/${partition}`;
    const offset = this.offsets.get(place) ?? 0n;
    this.offsets.set(place, offset + 1n);
    const subject = partition === 0 ? stream : `${stream}.${partition}`;
    const times = { receptionTimestamp: 1n, commitTimestamp: 1n };
    const ack = { stream, partitionSubject: subject, msgSubject: subject, offset, ackInbox, correlationId };
    this.#respond({ ack: { ...ack, ...times, ackPolicy, ackError: 0 }, correlationId });
  }

  /** Refuses it with a PublishAsync error. */
  refuse(code: PublishAsyncError_Code, message: string): void {
    this.#respond({ asyncError: { code, message }, correlationId: this.request.correlationId });
  }

  /** Responds with any bytes. */
  answer(message: Uint8Array): void {
    if (!this.call.stream.destroyed) this.call.stream.write(frame(message));
  }

  #respond(response: PublishResponse): void {
    this.answer(PublishResponse.encode(response).finish());
  }
}

/**
 * A cluster of scripted peers for tests of publishing. The test sets the metadata; published messages go to
 * `onPublish`, which acknowledges everything unless the test says otherwise.
 */
export class ScriptedCluster implements AsyncDisposable {
  /** All publishes of all brokers, in the order of arrival. */
  readonly received: ReceivedPublish[] = [];
  readonly calls: PublishCall[] = [];
  readonly peers: ScriptedPeer[] = [];
  /** Index of the leader of each partition, by stream; null where no leader is known. */
  readonly leaders = new Map<string, (number | null)[]>();
  /** Called for every publish. */
  onPublish: (publish: ReceivedPublish) => void = (publish) => {
    if (publish.request.ackPolicy !== AckPolicy.NONE) publish.ack();
  };
  /** Called for every FetchMetadata; the response follows when the promise resolves. */
  onMetadata: (streams: readonly string[]) => Promise<void> | undefined = () => undefined;
  readonly #offsets = new Map<string, bigint>();
  readonly #ports: number[] = [];

  static async start(brokers: number, tls?: SecureServerOptions): Promise<ScriptedCluster> {
    const cluster = new ScriptedCluster();
    for (let index = 0; index < brokers; index++) {
      const serve: CallScript = (stream, headers) => cluster.#serve(index, stream, String(headers[':path']));
      const peer = await ScriptedPeer.start(serve, tls);
      cluster.peers.push(peer);
      cluster.#ports.push(peer.port);
    }
    return cluster;
  }

  get addresses(): string[] {
    return this.#ports.map((port) => `${HOST}:${port}`);
  }

  /** The values that a partition has received, from one broker or from all. */
  values(partition = 0, broker?: number): string[] {
    return this.received
      .filter((publish) => publish.request.partition === partition && (broker ?? publish.broker) === publish.broker)
      .map(({ value }) => value);
  }

  /** Ends a broker permanently, as a kill does: its connections get no GOAWAY. */
  async stop(broker: number): Promise<void> {
    for (const socket of this.peers[broker]!.sockets) socket.destroy();
    await this.peers[broker]!.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.peers.map((peer) => peer.close().catch(() => undefined)));
  }

  #serve(broker: number, stream: ServerHttp2Stream, path: string): void {
    if (path === '/proto.API/FetchMetadata') void this.#answerMetadata(stream);
    else if (path === '/proto.API/PublishAsync') this.#publishLoop(broker, stream);
    else answerTrailersOnly(stream, UNIMPLEMENTED);
  }

  async #answerMetadata(stream: ServerHttp2Stream): Promise<void> {
    const splitter = new FrameSplitter(1 << 20);
    let request: FetchMetadataRequest | undefined;
    stream.on('data', (chunk: Buffer) =>
      splitter.push(chunk, (source, start, end) => {
        request = FetchMetadataRequest.decode(source.subarray(start, end));
      }),
    );
    stream.on('end', async () => {
      const streams = request?.streams ?? [];
      await this.onMetadata(streams);
      if (!stream.destroyed) answer(stream, [FetchMetadataResponse.encode(this.#metadata(streams)).finish()]);
    });
  }

  #publishLoop(broker: number, stream: ServerHttp2Stream): void {
    const call = new PublishCall(broker, stream);
    this.calls.push(call);
    const splitter = new FrameSplitter(8 << 20);
    stream.respond(GRPC_HEADERS, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.on('end', () => stream.end());
    stream.on('data', (chunk: Buffer) =>
      splitter.push(chunk, (source, start, end) => {
        const request = PublishRequest.decode(source.subarray(start, end));
        const publish = new ReceivedPublish(request, call, this.#offsets);
        this.received.push(publish);
        this.onPublish(publish);
      }),
    );
  }

  #metadata(asked: readonly string[]): FetchMetadataResponse {
    const names = asked.length === 0 ? [...this.leaders.keys()] : asked;
    const ids = this.peers.map((_, index) => `n${index}`);
    return {
      brokers: this.#ports.map((port, index) => ({ id: ids[index]!, host: HOST, port, ...NO_LOAD })),
      groupMetadata: [],
      streamMetadata: names.map((name) => {
        const leaders = this.leaders.get(name);
        const partitions = (leaders ?? []).map((leader, id) => {
          const names = { leader: leader === null ? '' : ids[leader]!, replicas: ids, isr: ids };
          const offsets = { highWatermark: -1n, newestOffset: -1n };
          return [id, { id, ...names, ...offsets, paused: false, readonly: false }] as const;
        });
        const error = leaders === undefined ? 1 : 0;
        return { name, subject: name, error, creationTimestamp: 1_000_000n, partitions: new Map(partitions) };
      }),
    };
  }
}

const NO_LOAD = { partitionCount: 0, leaderCount: 0 };
