import type { Metadata } from './metadata.js';

/** A broker, as far as it matters whether its word about a stream counts. */
export interface Witness {
  /** Since when there has been a connection to it without a break, as of `monotonicNow()`; null while there is none. */
  readonly connectedSince: number | null;
  /** Whether a connection to it has ever failed: a broker that was reached at the first attempt has hardly just started. */
  readonly hasFailed: boolean;
}

/** Who gave an answer. `since` is `connectedSince` as of the answer: later answers on the same connection come from the same process. */
export interface Testimony {
  readonly witness: Witness;
  readonly since: number | null;
}

/** One answer to FetchMetadata. */
export interface MetadataAnswer extends Metadata {
  /** Id of the broker that answered: it names itself first. Null where it named no broker. */
  readonly answeredBy: string | null;
  /** Ids of brokers that are not known; true for those that lead a partition or coordinate a group. */
  readonly strangers: ReadonlyMap<string, boolean>;
  /** Whose answer it is, and on which connection; null where that does not matter. */
  readonly from: Testimony | null;
}

/** The subject of a search: a stream, of a certain creation time where that is known, or a consumer group. */
export type Sought =
  | {
      readonly stream: string;
      /** Creation time as `Cluster.createdAt` gives it. Default: that of the cached entry. */
      readonly createdAt?: number | null | undefined;
      /** Id of a broker whose call ended because the stream is deleted. */
      readonly deletedBy?: string | undefined;
    }
  | { readonly group: string };
