import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** Types of HTTP/2 frames. */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** One received HTTP/2 frame. */
export interface Http2Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** One connection, on which the test can write any bytes. */
export class RawConnection {
  readonly frames: Http2Frame[] = [];
  readonly #socket: Socket;
  readonly #onFrame: (frame: Http2Frame, connection: RawConnection) => void;
  #input = Buffer.alloc(0);
  #greeted = false;

  constructor(socket: Socket, onFrame: (frame: Http2Frame, connection: RawConnection) => void) {
    this.#socket = socket;
    this.#onFrame = onFrame;
    socket.on('error', () => {});
    socket.on('data', (chunk) => this.#read(chunk));
  }

  #read(chunk: Buffer): void {
    this.#input = Buffer.concat([this.#input, chunk]);
    if (!this.#greeted) {
      if (this.#input.length < PREFACE.length) return;
      this.#greeted = true;
      this.#input = this.#input.subarray(PREFACE.length);
    }
    while (this.#input.length >= 9) {
      const size = this.#input.readUIntBE(0, 3);
      if (this.#input.length < 9 + size) return;
      const received = {
        type: this.#input[3]!,
        flags: this.#input[4]!,
        streamId: this.#input.readUInt32BE(5),
        payload: this.#input.subarray(9, 9 + size),
      };
      this.#input = this.#input.subarray(9 + size);
      this.frames.push(received);
      this.#onFrame(received, this);
    }
  }

  write(bytes: Uint8Array | string): void {
    this.#socket.write(bytes);
  }

  frame(type: number, flags: number, streamId: number, payload: Uint8Array = new Uint8Array(0)): void {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(streamId, 5);
    this.#socket.write(Buffer.concat([head, payload]));
  }

  settings(): void {
    this.frame(FrameType.SETTINGS, 0, 0);
    this.frame(FrameType.SETTINGS, 1, 0);
  }

  headers(streamId: number, headers: Readonly<Record<string, string>>, endStream = false): void {
    this.frame(FrameType.HEADERS, endStream ? 0x5 : 0x4, streamId, headerBlock(headers));
  }

  data(streamId: number, bytes: Uint8Array, endStream = false): void {
    this.frame(FrameType.DATA, endStream ? 1 : 0, streamId, bytes);
  }

  reset(streamId: number, code: number): void {
    this.frame(FrameType.RST_STREAM, 0, streamId, word(code));
  }

  goaway(lastStreamId: number, code: number, text = ''): void {
    this.frame(FrameType.GOAWAY, 0, 0, Buffer.concat([word(lastStreamId), word(code), Buffer.from(text)]));
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Gives the client a large window, and reads none of its data. */
  stopReading(): void {
    this.frame(FrameType.SETTINGS, 0, 0, Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]));
    this.frame(FrameType.SETTINGS, 1, 0);
    this.frame(FrameType.WINDOW_UPDATE, 0, 0, word(0x7fff0000));
    this.#socket.pause();
  }

  /** Resets the TCP connection instead of closing it. */
  resetAndDestroy(): void {
    this.#socket.resetAndDestroy();
  }
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The simplest HPACK: every header is a literal without indexing. */
export function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const parts = Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]);
  return Buffer.concat(parts);
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([lengthOf(bytes.length), bytes]);
}

/** An integer with a prefix of seven bits. */
function lengthOf(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** A TCP server on loopback for peers that misbehave in ways that node:http2 cannot. */
export class RawPeer {
  readonly host = '127.0.0.1';
  readonly connections: RawConnection[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `onFrame` is called for every frame that a client sends; without `onConnection` the peer does not send first. */
  static async start(script: {
    readonly onConnection?: (connection: RawConnection) => void;
    readonly onFrame?: (frame: Http2Frame, connection: RawConnection) => void;
  }): Promise<RawPeer> {
    const server = createServer();
    const peer = new RawPeer(server);
    server.on('connection', (socket) => {
      peer.#sockets.add(socket);
      socket.once('close', () => peer.#sockets.delete(socket));
      const connection = new RawConnection(socket, script.onFrame ?? (() => {}));
      peer.connections.push(connection);
      script.onConnection?.(connection);
    });
    server.listen(0, peer.host);
    await once(server, 'listening');
    return peer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that are currently open. */
  get open(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}
