/** What is measured: a client, or a bare loop, that publishes and reads. */
export interface Peer {
  /** Publishes this many messages, with at most `inFlight` unacknowledged; resolves when all are acknowledged. */
  publish(round: PublishRound): Promise<void>;
  /** Reads this many messages from the beginning. */
  subscribe(round: SubscribeRound): Promise<void>;
  close(): Promise<void>;
}

export interface PublishRound {
  readonly kind: 'publish';
  readonly stream: string;
  readonly messages: number;
  readonly size: number;
  readonly inFlight: number;
  /** Messages go to these in turn. */
  readonly partitions: number;
  /** Default 'leader'. */
  readonly ackPolicy?: 'leader' | 'all';
}

export interface SubscribeRound {
  readonly kind: 'subscribe';
  readonly stream: string;
  readonly messages: number;
  readonly size: number;
}

export type Round = PublishRound | SubscribeRound;

/** What a round cost: microseconds of CPU of the client's process, and milliseconds on the clock. */
export interface Cost {
  readonly cpu: number;
  readonly wall: number;
}

/** Serves rounds to the parent process. */
export function servePeer(make: (address: string) => Promise<Peer>): void {
  const peer = make(process.argv[2]!);
  process.on('message', async (round: Round | 'close') => {
    const serving = await peer;
    if (round === 'close') {
      await serving.close();
      process.disconnect();
      return;
    }
    const before = process.cpuUsage();
    const started = performance.now();
    if (round.kind === 'publish') await serving.publish(round);
    else await serving.subscribe(round);
    const wall = performance.now() - started;
    const { user, system } = process.cpuUsage(before);
    process.send!({ cpu: user + system, wall } satisfies Cost);
  });
}

/** Keeps `inFlight` publishes under way: `send` is given what to call when its publish is acknowledged. */
export function pipeline(
  messages: number,
  inFlight: number,
  send: (index: number, acknowledged: (error?: unknown) => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = 0;
    let done = 0;
    let filling = false;
    const acknowledged = (error?: unknown): void => {
      if (error) reject(error);
      done++;
      if (done === messages) resolve();
      // Filled up by halves: that packs, and is the same for every peer.
      else if (sent < messages && sent - done <= inFlight / 2) fill();
    };
    const fill = (): void => {
      if (filling) return;
      filling = true;
      while (sent < messages && sent - done < inFlight) send(sent++, acknowledged);
      filling = false;
    };
    fill();
  });
}
