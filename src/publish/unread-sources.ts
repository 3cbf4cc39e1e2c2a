import { quoted } from '../errors/quote.js';

/** Calls of `publishAll` whose acks were not asked for yet: they publish nothing until then. */
export class UnreadSources {
  readonly #streams = new Set<{ readonly stream: string }>();
  #warned = false;

  /** Returns the function to call once somebody reads. */
  add(stream: string): () => void {
    const entry = { stream };
    this.#streams.add(entry);
    return () => this.#streams.delete(entry);
  }

  /** Warns of one that has published nothing; once a client. */
  warn(): void {
    const [first] = this.#streams;
    if (first === undefined || this.#warned) return;
    this.#warned = true;
    this.#streams.clear();
    process.emitWarning(
      `publishAll to stream ${quoted(first.stream)} has published nothing: it begins when its acks are read. Use: for await (const ack of client.publishAll(...)).`,
      'LiftbridgeWarning',
    );
  }
}
