/** Who waits for the ack of a publish, and for how long. A call is one. */
export interface PublishCaller {
  /** When the caller stops waiting, in milliseconds of the broker's clock; null when it waits for no ack at all. */
  readonly deadline: number | null;
  readonly identity: string | null;
  /** Aborted when the caller has gone. */
  readonly signal: AbortSignal;
}
