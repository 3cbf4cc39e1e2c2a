import { rejectedAtCaller } from '../errors/call-site.js';

/** The values that an iterator returns. */
export interface IteratorSource<T, Arrival> {
  /** The next value; null when there is none now, more may come. */
  ready(): T | null;
  /** Waits for what arrives next; null at the end. Rejects with the error that ends the loop. */
  arrives(): Promise<Arrival | null>;
  /** The value of what has arrived. */
  arrived(arrival: Arrival): T;
  /** The loop is over. */
  ended(): void;
  /** Ends the source because the loop was left. */
  close(): Promise<void>;
}

/**
 * An iterator that returns a value that is ready without a wait. Calls of `next` before the value that is waited for has
 * arrived wait behind each other.
 */
export function iteratorOf<T, Arrival>(source: IteratorSource<T, Arrival>): AsyncIterator<T, undefined> {
  let waiting: Promise<unknown> | null = null;
  const over = (): { done: true; value: undefined } => {
    source.ended();
    return { done: true, value: undefined };
  };
  const wait = async (): Promise<IteratorResult<T, undefined>> => {
    try {
      const arrival = await source.arrives();
      return arrival === null ? over() : { done: false, value: source.arrived(arrival) };
    } catch (error) {
      source.ended();
      throw error;
    }
  };
  const next = (): Promise<IteratorResult<T, undefined>> => {
    const value = source.ready();
    return value === null ? wait() : Promise.resolve({ done: false, value });
  };
  const inTurn = (before: Promise<unknown> | null): Promise<IteratorResult<T, undefined>> => {
    const result = before === null ? wait() : before.then(next, next);
    const forget = (): void => {
      if (waiting === result) waiting = null;
    };
    waiting = result;
    result.then(forget, forget);
    return result.catch(rejectedAtCaller);
  };
  const leave = async (): Promise<{ done: true; value: undefined }> => {
    await source.close();
    return over();
  };
  return {
    next: () => {
      const value = waiting === null ? source.ready() : null;
      return value === null ? inTurn(waiting) : Promise.resolve({ done: false, value });
    },
    return: leave,
    throw: (error) => leave().then(() => Promise.reject(error)),
  };
}
