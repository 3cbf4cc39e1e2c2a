import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A NATS client that is a plain socket: tests write and read the bytes. */
export class RawClient {
  /** The first INFO line of the server, parsed. */
  readonly info: Record<string, unknown>;
  readonly socket: Socket;
  /** Settles when the server has closed the connection. */
  readonly ended: Promise<void>;
  #received = Buffer.alloc(0);
  #hasEnded = false;
  #wake: () => void = () => {};

  static async connect(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1');
    let greeting = '';
    while (!greeting.includes('\r\n')) greeting += String((await once(socket, 'data'))[0]);
    return new RawClient(socket, greeting);
  }

  private constructor(socket: Socket, greeting: string) {
    this.socket = socket;
    this.info = JSON.parse(greeting.slice('INFO '.length));
    this.ended = new Promise((resolve) => {
      const over = () => {
        this.#hasEnded = true;
        this.#wake();
        resolve();
      };
      socket.once('end', over);
      socket.once('close', over);
    });
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
  }

  /** Everything received since INFO. */
  get text(): string {
    return this.#received.toString('utf8');
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  send(text: string | Uint8Array): this {
    this.socket.write(text);
    return this;
  }

  /** Waits until the received text satisfies the condition or the server has closed the connection. */
  async until(condition: (text: string) => boolean): Promise<string> {
    while (!condition(this.text) && !this.#hasEnded) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.text;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** The response to a script that ends with PING or makes the server disconnect: its text, and then ` [end]`. */
export async function exchange(port: number, script: string): Promise<string> {
  const client = await RawClient.connect(port);
  try {
    client.send(script);
    const text = await client.until((sofar) => sofar.endsWith('PONG\r\n'));
    return client.hasEnded ? `${text}[end]` : text;
  } finally {
    client.close();
  }
}
