import { wrongValue } from '../option-error.js';
import { readOptions } from '../read-options.js';

/** Where a fault strikes; without a broker it strikes the next call of any broker. */
export interface FaultScope {
  /** Index of the broker, as in `stopBroker`. Default: any. */
  readonly broker?: number;
}

/** Checks the indexes of brokers that a test passes to a fault. */
export class BrokerIndexes {
  readonly #count: number;

  /** `count`: number of brokers, infinity to accept any index. */
  constructor(count: number) {
    this.#count = count;
  }

  /** Returns the index. Throws BrokerOptionError, which names the argument, for an index that no broker has. */
  check(argument: string, index: number): number {
    if (Number.isInteger(index) && index >= 0 && index < this.#count) return index;
    const range = this.#count === Number.POSITIVE_INFINITY ? 'of at least 0' : `from 0 to ${this.#count - 1}`;
    throw wrongValue(argument, `the index of a broker, an integer ${range}`, index);
  }

  /** Returns the broker of a scope, null for any. Throws BrokerOptionError. */
  of(scope: FaultScope): number | null {
    const { broker } = readOptions<FaultScope>('scope', scope, ['broker']);
    return broker === undefined ? null : this.check('broker', broker);
  }
}
