import type { Socket } from 'node:net';
import { clearTimeout, setTimeout } from '../timers.js';
import { BusError, type BusMessage, type BusSubscription } from './bus.js';
import { type ClientCommands, ClientParser } from './client-parser.js';
import type { Congestion, Fillable } from './congestion.js';
import { BEFORE_CONNECT, type ConnectOptions, readConnectOptions } from './connect-options.js';
import type { MemoryBus } from './memory-bus.js';
import { Outbox } from './outbox.js';
import { ProtocolError } from './protocol-error.js';
import { isLiteral, subjectMatches } from './subjects.js';

/** The settings that a connection takes from its listener. */
export interface ConnectionSettings {
  readonly bus: MemoryBus;
  /** The JSON text of INFO. */
  readonly info: string;
  /** Bytes that may wait for a client before it is dropped as a slow consumer. */
  readonly maxPending: number;
  /** Shared by the connections of a listener. */
  readonly congestion: Congestion;
  /** Unanswered pings after which a client counts as stale. */
  readonly maxPingsOut: number;
  /** Milliseconds on the clock that pings go by. */
  readonly now: () => number;
}

interface ClientSubscription {
  readonly sid: string;
  readonly subject: string;
  readonly queue: string;
  readonly standing: BusSubscription;
  delivered: number;
  /** Number of messages after which it ends, 0 for no limit. */
  max: number;
}

/** How long an ended connection may take to close before it is cut. */
const LINGER_MS = 1_000;
/** How long, and in which steps, a client is not read while its subscribers are behind. */
const STALL_MS = 10;
const STALL_STEP_MS = 1;
const NO_RESPONDERS = Buffer.from('NATS/1.0 503\r\n\r\n');
const NO_BYTES = Buffer.alloc(0);

/** One NATS client, whose commands and subscriptions act on the bus. */
export class ClientConnection implements ClientCommands {
  readonly #socket: Socket;
  readonly #settings: ConnectionSettings;
  readonly #outbox: Outbox;
  readonly #parser = new ClientParser(this);
  readonly #subscriptions = new Map<string, ClientSubscription>();
  #options: ConnectOptions = BEFORE_CONNECT;
  #pingsOut = 0;
  /** Time of the last data from the client, or of the last ping. */
  #quietSince: number;
  #over = false;

  /** `onClose` is called once, when the socket has closed. */
  constructor(socket: Socket, settings: ConnectionSettings, onClose: () => void) {
    this.#socket = socket;
    this.#settings = settings;
    this.#quietSince = settings.now();
    this.#outbox = new Outbox(socket, settings.maxPending, settings.congestion, () => this.destroy());
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // A broken connection ends like any other; 'close' follows.
    socket.on('error', () => this.destroy());
    socket.on('end', () => this.end());
    socket.on('close', () => {
      this.destroy();
      onClose();
    });
    this.#outbox.text(`INFO ${settings.info} \r\n`);
  }

  /** Ends the connection after its pending writes, within a second. */
  end(): void {
    if (this.#over) return;
    this.#leave();
    this.#outbox.flush();
    this.#outbox.close();
    this.#socket.resume();
    this.#socket.end();
    // Real time: a test that stops the broker's clock must not keep the socket open.
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#leave();
    this.#outbox.close();
    this.#socket.destroy();
  }

  /** Pings a client after this time of silence, and drops one that has not answered the last pings. */
  checkAlive(idleMs: number): void {
    const now = this.#settings.now();
    if (this.#over || now - this.#quietSince < idleMs) return;
    if (this.#pingsOut >= this.#settings.maxPingsOut) {
      this.#fail('Stale Connection');
      return;
    }
    this.#pingsOut++;
    this.#quietSince = now;
    this.#outbox.text('PING\r\n');
  }

  connect(options: string): void {
    this.#options = readConnectOptions(options, this.#options);
    this.#ok();
  }

  ping(): void {
    this.#outbox.text('PONG\r\n');
  }

  pong(): void {
    // Any data shows that the client is alive; the arrival of the chunk recorded it.
  }

  announce(subject: string, size: number, withHeaders: boolean): void {
    if (withHeaders && !this.#options.headers) throw new ProtocolError(null);
    if (size > this.#settings.bus.maxPayload) throw new ProtocolError('Maximum Payload Violation');
    if (this.#options.pedantic && !isLiteral(subject)) this.#refuse('Invalid Publish Subject');
  }

  publish(subject: string, reply: string, headers: Buffer | undefined, data: Buffer): void {
    if (this.#options.verbose) this.#ok();
    const message: BusMessage = headers === undefined ? { subject, reply, data } : { subject, reply, data, headers };
    const received = this.#settings.bus.publishMessage(message, this.#options.echo ? undefined : this);
    if (!received && reply !== '' && this.#options.noResponders) this.#reportNoResponders(reply);
  }

  subscribe(subject: string, queue: string, sid: string): void {
    // The rest of a chunk is parsed after the client was dropped: it must not add subscriptions.
    if (this.#over) return;
    if (!this.#subscriptions.has(sid)) {
      try {
        this.#subscriptions.set(sid, this.#stand(subject, queue, sid));
      } catch (error) {
        if (!(error instanceof BusError) || error.message !== 'nats: invalid subject') throw error;
        this.#refuse('Invalid Subject');
        return;
      }
    }
    this.#ok();
  }

  unsubscribe(sid: string, max: number): void {
    const subscription = this.#subscriptions.get(sid);
    if (subscription) {
      if (max > subscription.delivered) subscription.max = max;
      else this.#drop(subscription);
    }
    this.#ok();
  }

  #receive(chunk: Buffer): void {
    // An ended connection is still read, so that the client receives the final error.
    if (this.#over) return;
    this.#quietSince = this.#settings.now();
    this.#pingsOut = 0;
    this.#settings.congestion.take();
    this.#parse(chunk);
    const behind = this.#settings.congestion.take();
    if (behind.length > 0) this.#stall(behind, STALL_MS);
  }

  #parse(chunk: Buffer): void {
    try {
      this.#parser.push(chunk);
    } catch (error) {
      if (error instanceof ProtocolError) this.#fail(error.wire);
      else if (error instanceof BusError) this.end();
      else throw error;
    }
  }

  /** Stops reading until the slow subscribers have caught up, for a limited time: one of them may be stuck. */
  #stall(behind: readonly Fillable[], ms: number): void {
    if (this.#over) return;
    if (ms <= 0 || !behind.some((reader) => reader.congested)) {
      this.#socket.resume();
      return;
    }
    this.#socket.pause();
    // Real time: the network and the client do not use the broker's clock.
    setTimeout(() => this.#stall(behind, ms - STALL_STEP_MS), STALL_STEP_MS);
  }

  #stand(subject: string, queue: string, sid: string): ClientSubscription {
    const deliver = (message: BusMessage) => this.#deliver(subscription, message);
    const standing = this.#settings.bus.subscribe(subject, deliver, { queue, owner: this });
    const subscription: ClientSubscription = { sid, subject, queue, standing, delivered: 0, max: 0 };
    return subscription;
  }

  #deliver(subscription: ClientSubscription, message: BusMessage): void {
    subscription.delivered++;
    if (subscription.delivered === subscription.max) this.#drop(subscription);
    const { subject, reply, data, headers } = message;
    const target = reply === '' ? `${subject} ${subscription.sid} ` : `${subject} ${subscription.sid} ${reply} `;
    if (headers === undefined || !this.#options.headers) {
      this.#outbox.message(`MSG ${target}${data.length}\r\n`, undefined, data);
    } else {
      const size = headers.length + data.length;
      this.#outbox.message(`HMSG ${target}${headers.length} ${size}\r\n`, headers, data);
    }
  }

  #reportNoResponders(reply: string): void {
    for (const { sid, subject, queue } of this.#subscriptions.values()) {
      if (queue !== '' || !subjectMatches(subject, reply)) continue;
      const size = NO_RESPONDERS.length;
      this.#outbox.message(`HMSG ${reply} ${sid} ${size} ${size}\r\n`, NO_RESPONDERS, NO_BYTES);
      return;
    }
  }

  #drop(subscription: ClientSubscription): void {
    subscription.standing.unsubscribe();
    this.#subscriptions.delete(subscription.sid);
  }

  #leave(): void {
    this.#over = true;
    for (const { standing } of this.#subscriptions.values()) standing.unsubscribe();
    this.#subscriptions.clear();
  }

  #ok(): void {
    if (this.#options.verbose) this.#outbox.text('+OK\r\n');
  }

  #refuse(wire: string): void {
    this.#outbox.text(`-ERR '${wire}'\r\n`);
  }

  #fail(wire: string | null): void {
    if (wire !== null) this.#refuse(wire);
    this.end();
  }
}
