/** A refusal of a partition log; its text is what the server puts behind its own "Failed to ...: ". */
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

/** An append to a log that is readonly. */
export class ReadonlyLogError extends LogError {
  override readonly name = 'ReadonlyLogError';

  constructor() {
    super('commit log is readonly');
  }
}

/** A value that could not be encrypted or decrypted, or a key that cannot do it. */
export class EncryptionError extends LogError {
  override readonly name = 'EncryptionError';
}
