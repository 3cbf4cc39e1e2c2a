import { monotonicNow } from '../async/clock.js';
import { within } from '../async/deadline.js';
import { nextTurn } from '../async/sleep.js';
import { onTick, TICK_MS } from '../async/ticker.js';
import { Keepalive } from './keepalive.js';

/** A connection is checked before its next use after a silence of this length, in milliseconds. */
export const STALE_AFTER_MS = 10_000;
/** A peer that is checked must send a byte within this time, in milliseconds. */
export const CHECK_TIMEOUT_MS = 750;
/** The part of it that the small call has, before the PING follows. */
const CALL_SHARE = 1 / 3;

/** The connection that a `PeerWatch` watches. Durations are milliseconds. */
export interface WatchedPeer {
  readonly keepaliveTime: number;
  readonly keepaliveTimeout: number;
  /** Bytes received so far. */
  received(): number;
  /** Whether the keepalive may ask now. */
  inUse(): boolean;
  /** Asks the peer with a small call. Resolves when that call has ended, and never rejects. */
  call(timeout: number): Promise<void>;
  /** Asks the peer with a PING. Resolves when it was answered or the connection is gone. */
  ping(): Promise<void>;
  /** The peer counts as dead: it has sent nothing for `silence` milliseconds although it was asked. */
  dead(silence: number): void;
}

/**
 * Notices a peer that has vanished without closing its connection: by a keepalive while the connection is silent, by a check
 * on request, and by a check as soon as the process wakes up. Any byte counts as an answer.
 */
export class PeerWatch {
  readonly #peer: WatchedPeer;
  readonly #keepalive: Keepalive;
  readonly #endTicks: () => void;
  #seen: number;
  #heardAt = monotonicNow();
  #check: Promise<boolean> | undefined;
  #stopped = false;

  constructor(peer: WatchedPeer) {
    const { keepaliveTime: time, keepaliveTimeout: timeout } = peer;
    this.#peer = peer;
    this.#seen = peer.received();
    this.#keepalive = new Keepalive({
      time,
      timeout,
      received: () => peer.received(),
      inUse: () => peer.inUse(),
      ask: (urgent) => void (urgent ? peer.ping() : peer.call(timeout)),
      dead: () => this.#dead(time + timeout),
    });
    this.#endTicks = onTick((stoodStill) => this.#tick(stoodStill));
  }

  /** True when the connection should be checked before it is used: it has been silent for long, or a check is under way. */
  get stale(): boolean {
    if (this.#check !== undefined) return true;
    // Ticks listen as well: while bytes come, this is all that a write costs.
    if (this.#stopped || !this.#isSilent) return false;
    this.#listen();
    return this.#isSilent;
  }

  /**
   * Asks the peer, and resolves true as soon as a byte comes. When none comes within `CHECK_TIMEOUT_MS`, the peer counts as
   * dead, and the check resolves false. Those who ask at the same time share one check.
   */
  check(): Promise<boolean> {
    if (this.#stopped) return Promise.resolve(false);
    this.#check ??= this.#ask().finally(() => {
      this.#check = undefined;
    });
    return this.#check;
  }

  stop(): void {
    this.#stopped = true;
    this.#keepalive.stop();
    this.#endTicks();
  }

  async #ask(): Promise<boolean> {
    const before = this.#peer.received();
    const heard = (): boolean => this.#peer.received() !== before;
    const patience = CHECK_TIMEOUT_MS * CALL_SHARE;
    await within(patience, this.#peer.call(CHECK_TIMEOUT_MS), { ref: false });
    if (!heard() && !this.#stopped) await within(CHECK_TIMEOUT_MS - patience, this.#peer.ping(), { ref: false });
    // A process that was busy meets its timers before it reads what has arrived: the verdict waits for that.
    if (!heard() && !this.#stopped) await nextTurn();
    if (this.#stopped) return false;
    this.#listen();
    if (heard()) return true;
    this.#dead(CHECK_TIMEOUT_MS);
    return false;
  }

  get #isSilent(): boolean {
    return monotonicNow() - this.#heardAt > STALE_AFTER_MS;
  }

  #tick(stoodStill: number): void {
    this.#listen();
    // Nothing reports what the peer and the network dropped meanwhile.
    if (stoodStill > TICK_MS) void this.check();
  }

  #listen(): void {
    const received = this.#peer.received();
    if (received === this.#seen) return;
    this.#seen = received;
    this.#heardAt = monotonicNow();
  }

  #dead(silence: number): void {
    if (this.#stopped) return;
    this.stop();
    this.#peer.dead(silence);
  }
}
