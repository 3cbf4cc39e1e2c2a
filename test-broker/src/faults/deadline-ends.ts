import { wrongValue } from '../option-error.js';

/** How a call ends whose deadline has passed. */
export type DeadlineEnd = 'status' | 'reset' | 'mixed';

const DEADLINE_ENDS: readonly DeadlineEnd[] = ['status', 'reset', 'mixed'];
/** The server resets about one call in ten. */
const DEADLINES_PER_RESET = 10;

/** Decides how each call ends whose deadline has passed. */
export class DeadlineEnds {
  #end: DeadlineEnd = 'mixed';
  #passed = 0;

  /** Throws BrokerOptionError for an unknown way to end a call. */
  set(how: DeadlineEnd): void {
    if (!DEADLINE_ENDS.includes(how)) throw wrongValue('how', `one of ${DEADLINE_ENDS.join(', ')}`, how);
    this.#end = how;
  }

  /** Counts a passed deadline; returns whether its call is reset. */
  takeReset(): boolean {
    this.#passed++;
    if (this.#end === 'mixed') return this.#passed % DEADLINES_PER_RESET === 0;
    return this.#end === 'reset';
  }

  clear(): void {
    this.#end = 'mixed';
    this.#passed = 0;
  }
}
