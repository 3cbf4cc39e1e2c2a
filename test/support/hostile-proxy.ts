import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { FrameType, type Http2Frame, headerBlock } from './raw-peer.js';

const PREFACE_SIZE = 24;
const FRAME_HEAD = 9;
/** SETTINGS_HEADER_TABLE_SIZE of 0: otherwise a header block cannot be dropped or replaced. */
const NO_HEADER_TABLE = Buffer.from([0, 1, 0, 0, 0, 0]);

/** Changes to a connection between a client and a normal broker. */
export interface Behaviour {
  /** Called for a new connection; true keeps the connection away from the broker. */
  readonly onConnect?: (link: HostileLink) => boolean | undefined;
  /** Called for every frame of the broker; false drops the frame. */
  readonly onFrame?: (frame: Http2Frame, link: HostileLink) => boolean | undefined;
  /** Called for the bytes of the broker instead, in chunks as they arrive; the client receives its result. */
  readonly onBytes?: (bytes: Buffer, link: HostileLink) => Buffer;
}

/** One connection of a client. */
export class HostileLink {
  readonly #client: Socket;
  /** Frames of each type that the broker has sent. */
  readonly seen = new Map<number, number>();
  /** False after `stopReading`. */
  reads = true;
  /** State of a behaviour. */
  readonly notes = new Map<string, number>();

  constructor(client: Socket) {
    this.#client = client;
  }

  write(bytes: Uint8Array | string): void {
    if (!this.#client.destroyed && this.#client.writable) this.#client.write(bytes);
  }

  frame(type: number, flags: number, streamId: number, payload: Uint8Array = new Uint8Array(0)): void {
    this.write(frameBytes(type, flags, streamId, payload));
  }

  headers(streamId: number, headers: Readonly<Record<string, string>>, endStream = false): void {
    this.frame(FrameType.HEADERS, endStream ? 5 : 4, streamId, headerBlock(headers));
  }

  data(streamId: number, bytes: Uint8Array, endStream = false): void {
    this.frame(FrameType.DATA, endStream ? 1 : 0, streamId, bytes);
  }

  word(type: number, streamId: number, ...words: number[]): void {
    this.frame(type, 0, streamId, Buffer.concat(words.map(wordOf)));
  }

  end(): void {
    this.#client.end();
  }

  destroy(): void {
    this.#client.destroy();
  }

  reset(): void {
    this.#client.resetAndDestroy();
  }

  /** Stops reading from the client. */
  stopReading(): void {
    this.reads = false;
    this.#client.pause();
  }

  /** Reads again. */
  resume(): void {
    this.reads = true;
    this.#client.resume();
  }

  /** Counts calls with that name on this connection. */
  count(name: string): number {
    const value = (this.notes.get(name) ?? 0) + 1;
    this.notes.set(name, value);
    return value;
  }
}

/** A proxy in front of a normal broker that breaks HTTP/2 and gRPC as configured: the rest of the conversation is real. */
export class HostileProxy {
  /** The changes to every connection; null forwards everything. */
  behaviour: Behaviour | null = null;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #clients = new Set<Socket>();
  readonly #links = new Set<HostileLink>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `backend`: "host:port". */
  static async start(backend: string): Promise<HostileProxy> {
    const server = createServer({ allowHalfOpen: true });
    const proxy = new HostileProxy(server);
    server.on('connection', (socket) => proxy.#serve(socket, backend));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections of clients that are open. */
  get open(): number {
    return this.#clients.size;
  }

  /** Cuts all current connections. */
  cut(): void {
    for (const client of this.#clients) client.destroy();
  }

  /** Behaves as a normal broker from now on. */
  calm(): void {
    this.behaviour = null;
    for (const link of this.#links) if (!link.reads) link.resume();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(client: Socket, backend: string): void {
    this.#track(client, this.#clients);
    const link = new HostileLink(client);
    this.#links.add(link);
    client.once('close', () => this.#links.delete(link));
    if (this.behaviour?.onConnect?.(link) === true) {
      if (link.reads) client.resume();
      client.on('end', () => client.end());
      return;
    }
    const [host, port] = backend.split(':') as [string, string];
    const broker = connect(Number(port), host);
    this.#track(broker);
    client.on(
      'data',
      withoutHeaderTable((bytes) => broker.writable && broker.write(bytes)),
    );
    broker.on('data', this.#toClient(link));
    client.on('close', () => broker.destroy());
    client.on('end', () => broker.destroy());
    broker.on('close', () => client.end());
  }

  #track(socket: Socket, also?: Set<Socket>): void {
    this.#sockets.add(socket);
    also?.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      also?.delete(socket);
    });
  }

  #toClient(link: HostileLink): (chunk: Buffer) => void {
    let input = Buffer.alloc(0);
    return (chunk) => {
      if (this.behaviour?.onBytes !== undefined) {
        link.write(this.behaviour.onBytes(Buffer.concat([input, chunk]), link));
        input = Buffer.alloc(0);
        return;
      }
      input = Buffer.concat([input, chunk]);
      for (let frame = frameOf(input); frame !== null; frame = frameOf(input)) {
        const bytes = input.subarray(0, FRAME_HEAD + frame.payload.length);
        input = input.subarray(bytes.length);
        link.seen.set(frame.type, (link.seen.get(frame.type) ?? 0) + 1);
        if (this.behaviour?.onFrame?.(frame, link) !== false) link.write(bytes);
      }
    };
  }
}

/** The bytes of one HTTP/2 frame. */
export function frameBytes(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(FRAME_HEAD);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([head, payload]);
}

function wordOf(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

function frameOf(input: Buffer): Http2Frame | null {
  if (input.length < FRAME_HEAD) return null;
  const size = input.readUIntBE(0, 3);
  if (input.length < FRAME_HEAD + size) return null;
  const payload = input.subarray(FRAME_HEAD, FRAME_HEAD + size);
  return { type: input[3]!, flags: input[4]!, streamId: input.readUInt32BE(5), payload };
}

/** Forwards the data of a client, and adds `NO_HEADER_TABLE` to its first SETTINGS. */
function withoutHeaderTable(pass: (bytes: Buffer) => void): (chunk: Buffer) => void {
  let input: Buffer | null = Buffer.alloc(0);
  return (chunk) => {
    if (input === null) {
      pass(chunk);
      return;
    }
    input = Buffer.concat([input, chunk]);
    const settings = frameOf(input.subarray(PREFACE_SIZE));
    if (settings === null) return;
    const rest = input.subarray(PREFACE_SIZE + FRAME_HEAD + settings.payload.length);
    const payload = Buffer.concat([settings.payload, NO_HEADER_TABLE]);
    pass(Buffer.concat([input.subarray(0, PREFACE_SIZE), frameBytes(FrameType.SETTINGS, 0, 0, payload), rest]));
    input = null;
  };
}
