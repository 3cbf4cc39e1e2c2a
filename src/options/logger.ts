import { messageOf } from '../errors/quote.js';
import type { Rule } from './validate.js';

/** Where the client reports what it does. A pino logger fits as it is: an error is in `err` of the context. */
export interface Logger {
  /** What only helps to understand the client itself. */
  debug(context: object, message: string): void;
  /** What is as it should be and rare. */
  info(context: object, message: string): void;
  /** What should not happen and is dealt with. */
  warn(context: object, message: string): void;
  /** Failures that no caller is told of. */
  error(context: object, message: string): void;
}

type Level = keyof Logger;
const LEVELS: readonly Level[] = ['debug', 'info', 'warn', 'error'];

/** A rule for what has these functions of a logger. What it reads cannot throw. */
export function loggerWith(expected: string, levels: readonly Level[]): Rule {
  return {
    expected,
    accepts: (value) =>
      typeof value === 'object' &&
      value !== null &&
      levels.every((level) => typeof Reflect.get(value, level) === 'function'),
    read: (_where, _name, value) => guarded(value as Logger),
  };
}

export const logger: Rule = loggerWith('an object with the functions debug, info, warn and error', LEVELS);

/**
 * A logger in front of that of the application, which is called where nothing may throw: from timers, from sockets, between
 * two steps of the client. What it throws, or rejects with, is told once as a warning of the process.
 */
function guarded(inner: Logger): Logger {
  let told = false;
  const tell = (thrown: unknown): void => {
    if (told) return;
    told = true;
    process.emitWarning(`the logger of a client threw: ${messageOf(thrown)}`, 'LiftbridgeWarning');
  };
  const at = (level: Level) => (context: object, message: string) => {
    try {
      const answer: unknown = inner[level](context, message);
      if (answer instanceof Promise) answer.catch(tell);
    } catch (thrown) {
      tell(thrown);
    }
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
