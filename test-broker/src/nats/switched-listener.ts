import type { NatsListener } from './listener.js';

/** A NATS listener that can close and open again on its port, one change after the other. */
export class SwitchedListener {
  readonly url: string;
  readonly port: number;
  #listener: NatsListener | null;
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(listener: NatsListener) {
    this.url = listener.url;
    this.port = listener.port;
    this.#listener = listener;
  }

  set(open: boolean, reopen: () => Promise<NatsListener>): Promise<void> {
    const change = this.#last.then(async () => {
      if (!open) await this.#close();
      else if (this.#listener === null && !this.#closed) this.#listener = await reopen();
    });
    this.#last = change.catch(() => {});
    return change;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    await this.#close();
  }

  async #close(): Promise<void> {
    const listener = this.#listener;
    this.#listener = null;
    await listener?.close();
  }
}
