/** The caller that waits for the ack of a publish, such as a call. */
export interface PublishCaller {
  /** Deadline of the caller, in milliseconds of the broker's clock; null when it waits for no ack. */
  readonly deadline: number | null;
  readonly identity: string | null;
  /** Aborted when the caller has left. */
  readonly signal: AbortSignal;
}
