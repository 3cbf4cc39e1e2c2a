import type { Clock } from '../clock.js';
import type { Bus } from '../nats/bus.js';
import type { Settings } from '../settings.js';
import type { Replica } from './partition.js';

/** What a replica needs of the broker that it is on. */
export interface ReplicaHost {
  readonly id: string;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly settings: Settings;
  /** Publishes an ack, unless a fault holds it back. */
  sendAck(inbox: string, envelope: Buffer): void;
  /** The leader has something for its followers. */
  appended(replica: Replica): void;
  /** The high watermark of a leader has moved. */
  committed(replica: Replica): void;
  /** Proposes to pause a partition that nobody publishes to. */
  pauseIdle(replica: Replica): void;
  warn(message: string): void;
}
