/**
 * Texts of the server that more than one table recognises. Codes alone do not tell these causes apart.
 */

/** A broker that has lost its connection to NATS. */
export const WITHOUT_NATS = /nats: (?:outbound buffer limit exceeded|connection closed)/;

/** A message that NATS or replication does not take. */
export const TOO_LARGE = /exceeds max replication size|maximum payload exceeded/;

/** An offset that is not the next one, with optimistic concurrency control. */
export const WRONG_OFFSET = /incorrect expected offset/;

/** A publish to a paused partition resumes it first, which needs a metadata leader. */
export const NO_RESUME =
  /failed to resume stream: .*(?:no known metadata leader|no responders|outbound buffer limit|not the leader|leadership lost|timed? ?out|deadline)/;

/** Characters of a text that are searched. Texts of a broker are short; a search through megabytes takes minutes. */
export const LONGEST_SEARCHED = 2_000;
