import type { ClockTimer } from '../clock.js';
import type { Faults } from '../faults.js';

/** The connection of a call. */
export interface CallConnection {
  /** Common name of the verified client certificate; null without one. */
  readonly identity: string | null;
  /** Cuts the connection without a GOAWAY. */
  cut(): void;
}

/** The server of a call. */
export interface CallHost {
  readonly brokerIndex: number;
  readonly faults: Faults | null;
  /** Largest request message in bytes. */
  readonly messageLimit: number;
  /** While true no data may be sent; pass the send to `afterSilence`. */
  readonly silent: boolean;
  afterSilence(send: () => void): void;
  /** The time of the clock behind `after`, in milliseconds. */
  now(): number;
  /** Calls back once, after `ms` milliseconds. */
  after(ms: number, callback: () => void): ClockTimer;
  /** Calls `flush` after the current code has ended, together with all calls registered meanwhile. */
  flushSoon(call: { flush(): void }): void;
  /** The stream of the call is closed. */
  closed(call: object): void;
  /** Reports a failure in the broker that the client sees only as an unknown error. */
  warn(message: string, error: unknown): void;
}
