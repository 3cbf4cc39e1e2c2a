/** A refusal by a partition log; the server puts its text behind its own "Failed to ...: ". */
export class LogError extends Error {
  override readonly name: string = 'LogError';
}

/** An append whose expected offset is not the next one, on a log with concurrency control. */
export class IncorrectOffsetError extends LogError {
  override readonly name = 'IncorrectOffsetError';

  constructor(
    readonly expected: bigint,
    readonly next: number,
  ) {
    super('incorrect offset');
  }
}

/** An append to a readonly log. */
export class ReadonlyLogError extends LogError {
  override readonly name = 'ReadonlyLogError';

  constructor() {
    super('commit log is readonly');
  }
}

/** A failed encryption or decryption of a value, or an invalid key. */
export class EncryptionError extends LogError {
  override readonly name = 'EncryptionError';
}
