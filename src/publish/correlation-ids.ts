import { randomBytes } from 'node:crypto';
import { InvalidArgumentError } from '../errors.js';
import { AckPolicy } from '../protocol/generated/api.js';
import { numberText } from './in-flight.js';

/** Separates the generated part of a correlation id from the name of a stream. Not a digit of base64url or base 36. */
const STREAM_SEPARATOR = '/';

/** The correlation ids of a publisher, generated or chosen by the caller. */
export class CorrelationIds {
  /** The start of generated ids. Short, so that ids cost little: they only have to be unique in flight on one session. */
  readonly prefix = randomBytes(4).toString('base64url');
  /** Chosen ids that are in flight. */
  readonly #chosen = new Set<string>();

  /** Generates the id of the publish with this number. */
  generate(number: number, policy: AckPolicy, stream: string): string {
    const id = this.prefix + numberText(number);
    // A publish without an ack has no record once it is sent, so its id names the stream for a refusal.
    return policy === AckPolicy.NONE ? `${id}${STREAM_SEPARATOR}${stream}` : id;
  }

  /** Registers an id that a caller chose. Throws InvalidArgumentError for an id that is in flight. */
  choose(where: string, chosen: string): string {
    if (this.#chosen.has(chosen))
      throw new InvalidArgumentError(
        `${where}: expected correlationId to be one that is not in flight, got ${JSON.stringify(chosen)} (string)`,
        { operation: where },
      );
    this.#chosen.add(chosen);
    return chosen;
  }

  /** Allows a chosen id to be used again. */
  release(id: string): void {
    this.#chosen.delete(id);
  }

  /** The stream that a generated id names; undefined when it names none. */
  streamOf(id: string): string | undefined {
    const at = id.startsWith(this.prefix) ? id.indexOf(STREAM_SEPARATOR) : -1;
    return at < 0 ? undefined : id.slice(at + 1);
  }
}
