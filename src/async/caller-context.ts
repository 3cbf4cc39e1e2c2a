import { AsyncResource } from 'node:async_hooks';

/** The context (AsyncLocalStorage) of a call, kept for its callback: that comes from a socket, which belongs to all calls. */
export class CallerContext extends AsyncResource {
  constructor() {
    super('LiftbridgeCallback');
  }
}

/** The callback, run in the context of now whenever it is called. */
export function inCallerContext<Args extends unknown[], Result>(
  callback: (...args: Args) => Result,
): (...args: Args) => Result {
  const context = new CallerContext();
  return (...args) => context.runInAsyncScope(callback, undefined, ...args);
}
