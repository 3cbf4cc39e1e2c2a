import { callback, group, headers, oneOf } from './rules.js';

/** What the publishes of a client have unless the call says otherwise. Options are merged by name, and headers by theirs. */
export interface PublishDefaults {
  /** Chooses the partition of a publish without a `partition` or a `partitioner` of its own. Default: none, partition 0. */
  readonly partitioner?:
    | ((
        message: { readonly stream: string; readonly key: Uint8Array | null; readonly value: Uint8Array | null },
        partitions: number,
      ) => number)
    | undefined;
  /** Headers of each publish; those of a call win. Default: none. */
  readonly headers?: Readonly<Record<string, string | Uint8Array>> | undefined;
  /** Default 'leader'. 'none' is not allowed: the type of `publish` would not be true. */
  readonly ackPolicy?: 'leader' | 'all' | undefined;
}

/** The rule of `publishDefaults`. */
export const publishDefaults = group<PublishDefaults>({
  partitioner: callback,
  headers,
  ackPolicy: oneOf('leader', 'all'),
});
