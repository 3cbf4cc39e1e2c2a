import type { ClockTimer } from '../clock.js';
import type { Faults } from '../faults.js';

/** What a call needs of the connection that it came in by. */
export interface CallConnection {
  /** Common name of the verified client certificate; null without one. */
  readonly identity: string | null;
  /** Cuts the connection without a word. */
  cut(): void;
}

/** What a call needs of the server that serves it. */
export interface CallHost {
  readonly brokerIndex: number;
  readonly faults: Faults | null;
  /** Largest request message in bytes. */
  readonly messageLimit: number;
  /** While true nothing may be sent; give what is to be sent to `afterSilence`. */
  readonly silent: boolean;
  afterSilence(send: () => void): void;
  /** Milliseconds of the clock that `after` goes by. */
  now(): number;
  /** Calls back once, after `ms` milliseconds. */
  after(ms: number, callback: () => void): ClockTimer;
  /** Calls `flush` when what runs now is done, together with all that were given meanwhile. */
  flushSoon(call: { flush(): void }): void;
  /** The call is over: its stream is closed. */
  closed(call: object): void;
  /** Something in the broker failed that the client sees only as an unknown error. */
  warn(message: string, error: unknown): void;
}
