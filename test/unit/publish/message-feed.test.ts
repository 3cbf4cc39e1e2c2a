import { describe, expect, it } from 'vitest';
import { ClosedError } from '../../../src/errors.js';
import { AsyncFeed, type MessageFeed, SyncFeed } from '../../../src/publish/message-feed.js';

/** A source of three entries that counts its calls. */
class Source {
  asked = 0;
  left = 0;
  error: unknown = null;
  leaving: () => unknown = () => undefined;

  step(): IteratorResult<string, undefined> {
    this.asked++;
    if (this.error !== null) throw this.error;
    return this.asked <= 3 ? { done: false, value: `v${this.asked}` } : { done: true, value: undefined };
  }

  ready(): MessageFeed {
    const end = () => {
      this.left++;
      this.leaving();
      return { done: true as const, value: undefined };
    };
    return new SyncFeed({ next: () => this.step(), return: end }, 'orders', this.signal);
  }

  slow(): MessageFeed {
    const end = async () => {
      this.left++;
      await this.leaving();
      return { done: true as const, value: undefined };
    };
    return new AsyncFeed({ next: async () => this.step(), return: end }, 'orders', this.signal);
  }

  constructor(readonly signal?: AbortSignal) {}
}

async function wait(feed: MessageFeed): Promise<boolean> {
  if (feed.ready()) return true;
  await feed.waiting;
  return feed.ready();
}

describe.each(['ready', 'slow'] as const)('a source of messages that is %s', (kind) => {
  it('gives one entry at a time, and the next one only after that was taken', async () => {
    const source = new Source();
    const feed = source[kind]();
    expect(source.asked).toBe(0);
    for (let count = 1; count <= 3; count++) {
      expect(await wait(feed)).toBe(true);
      expect(feed.ready()).toBe(true);
      expect(source.asked).toBe(count);
      expect(feed.done).toBe(false);
      expect(feed.take()).toBe(`v${count}`);
    }
    expect(await wait(feed)).toBe(false);
    expect(feed.done).toBe(true);
    expect(feed.ready()).toBe(false);
    expect(source.asked).toBe(4);
    expect(() => feed.throwFailure()).not.toThrow();
    await feed.cancel();
    expect(source.left).toBe(0);
  });

  it('is ended early while it has more entries', async () => {
    const source = new Source();
    const feed = source[kind]();
    await wait(feed);
    await feed.cancel();
    expect(source.left).toBe(1);
    source.leaving = () => {
      throw new Error('locked');
    };
    await expect(feed.cancel()).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      operation: 'publishAll',
      stream: 'orders',
    });
  });

  it('ends with the error that it threw, after its entries', async () => {
    const source = new Source();
    const feed = source[kind]();
    source.error = new Error('no file');
    expect(await wait(feed)).toBe(false);
    expect(feed.done).toBe(true);
    expect(() => feed.throwFailure()).toThrow(
      expect.objectContaining({
        code: 'HANDLER_FAILED',
        message: expect.stringContaining('no file'),
        cause: source.error,
      }),
    );
    await feed.cancel();
    expect(source.left).toBe(0);
  });

  it('passes on errors of this package and the reason of its signal unchanged', async () => {
    const stop = new AbortController();
    const reason = new Error('enough');
    const told = async (error: unknown): Promise<unknown> => {
      const source = new Source(stop.signal);
      source.error = error;
      const feed = source[kind]();
      await wait(feed);
      try {
        return feed.throwFailure();
      } catch (thrown) {
        return thrown;
      }
    };
    const own = new ClosedError('closed');
    expect(await told(own)).toBe(own);
    // While the signal is not aborted, this is no abort.
    expect(await told(reason)).toMatchObject({ code: 'HANDLER_FAILED', cause: reason });
    stop.abort(reason);
    expect(await told(reason)).toBe(reason);
    expect(await told(new Error('other'))).toMatchObject({ code: 'HANDLER_FAILED' });
  });
});

describe('a source whose next entry is pending', () => {
  it('is asked once, and does not delay the end', async () => {
    let asked = 0;
    const never = new Promise<never>(() => undefined);
    const next = (): Promise<never> => {
      asked++;
      return never;
    };
    const iterator = { next, return: () => never };
    const feed = new AsyncFeed(iterator, 'orders', undefined);
    expect(feed.waiting).toBeNull();
    expect(feed.ready()).toBe(false);
    const { waiting } = feed;
    expect(waiting).not.toBeNull();
    expect(feed.ready()).toBe(false);
    expect(feed.waiting).toBe(waiting);
    expect(asked).toBe(1);
    await feed.cancel();
  });

  it('may have no return()', async () => {
    await new SyncFeed({ next: () => ({ done: true, value: undefined }) }, 'orders', undefined).cancel();
    await new AsyncFeed({ next: async () => ({ done: true, value: undefined }) }, 'orders', undefined).cancel();
  });
});
