import { randomBytes } from 'node:crypto';
import { InvalidArgumentError } from '../errors.js';
import { AckPolicy } from '../protocol/generated/api.js';
import { numberText } from './in-flight.js';

/** Between the generated part of a correlation id and the name of a stream; base64url and base 36 do without it. */
const STREAM_FOLLOWS = '/';

/** The correlation ids of a publisher: generated ones, and those that callers choose. */
export class CorrelationIds {
  /** What generated ids begin with. Short, so that ids are cheap to make: they have to differ among what one session has in flight. */
  readonly prefix = randomBytes(4).toString('base64url');
  /** Chosen ids that are in flight. */
  readonly #chosen = new Set<string>();

  /** The id that is generated for the publish of a number. */
  generate(number: number, policy: AckPolicy, stream: string): string {
    const id = this.prefix + numberText(number);
    // Nothing remembers a publish without ack once it is sent: the id has to tell which stream a refusal is about.
    return policy === AckPolicy.NONE ? `${id}${STREAM_FOLLOWS}${stream}` : id;
  }

  /** Takes an id that a caller chose. Throws InvalidArgumentError for one that is in flight. */
  choose(where: string, chosen: string): string {
    if (this.#chosen.has(chosen))
      throw new InvalidArgumentError(
        `${where}: expected correlationId to be one that is not in flight, got ${JSON.stringify(chosen)} (string)`,
        { operation: where },
      );
    this.#chosen.add(chosen);
    return chosen;
  }

  /** Lets a chosen id be used again. */
  release(id: string): void {
    this.#chosen.delete(id);
  }

  /** The stream that a generated id names; undefined where it names none. */
  streamOf(id: string): string | undefined {
    const at = id.startsWith(this.prefix) ? id.indexOf(STREAM_FOLLOWS) : -1;
    return at < 0 ? undefined : id.slice(at + 1);
  }
}
