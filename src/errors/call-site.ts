import { LiftbridgeError } from './error-classes.js';

/** Where a call came from: `stack` is made into text when it is first read. */
export interface CallSite {
  readonly stack: string;
}

/** The frames of the caller of `called`, or of what awaits the promise of the running async function. */
export function callSite(called?: (...given: never[]) => unknown): CallSite {
  const site = { stack: '' };
  Error.captureStackTrace(site, called);
  return site;
}

/**
 * The error with the frames of the call in front of its own: those begin at a socket or a timer of this package. The text is
 * made when somebody reads it. Errors of others, such as the reason of a signal, stay as they are.
 */
export function atCallSite(error: unknown, site: CallSite): unknown {
  if (!(error instanceof LiftbridgeError)) return error;
  const described = Object.getOwnPropertyDescriptor(error, 'stack');
  if (described?.configurable !== true) return error;
  const own = (): unknown => (described.get === undefined ? described.value : described.get.call(error));
  Object.defineProperty(error, 'stack', {
    configurable: true,
    enumerable: false,
    get: () => joined(error, String(own() ?? ''), site),
    set: (stack: unknown) => {
      Object.defineProperty(error, 'stack', { value: stack, writable: true, configurable: true, enumerable: false });
    },
  });
  return error;
}

/** The same for what a promise rejects with. Where the caller awaits the promise, its line is among the async frames. */
export async function rejectedAtCaller(error: unknown): Promise<never> {
  // Two turns: by the second the promise of the caller waits for this one, so that V8 finds who awaits that.
  await undefined;
  await undefined;
  throw atCallSite(error, callSite());
}

const FRAME = /^ {4}at .*$/gm;
/** Frames at most: an error that several calls share would gather those of all of them. */
const MOST_FRAMES = 40;

function joined(error: LiftbridgeError, own: string, site: CallSite): string {
  const called = site.stack.match(FRAME) ?? [];
  const frames = [...called.filter((frame) => !own.includes(frame)), ...(own.match(FRAME) ?? [])];
  return [`${error.name}: ${error.message}`, ...frames.slice(0, MOST_FRAMES)].join('\n');
}

/** Makes the methods of a class, sync or async, fail with errors that point at their caller. */
export function pointErrorsAtCaller<T extends object>(prototype: T, names: readonly (keyof T & string)[]): void {
  for (const name of names) {
    const method = prototype[name];
    Object.defineProperty(prototype, name, { value: pointing(name, method as (...given: never[]) => unknown) });
  }
}

/** The same for one function. */
function pointing<F extends (...given: never[]) => unknown>(name: string, called: F): F {
  function pointed(this: unknown, ...given: never[]): unknown {
    const site = callSite(pointed);
    const relocate = (error: unknown): never => {
      throw atCallSite(error, site);
    };
    try {
      const result = called.apply(this, given);
      return result instanceof Promise ? result.catch(relocate) : result;
    } catch (error) {
      return relocate(error);
    }
  }
  Object.defineProperty(pointed, 'name', { value: name });
  Object.defineProperty(pointed, 'length', { value: called.length });
  return pointed as unknown as F;
}
