import { assert, type IProperty, type Parameters } from 'fast-check';

/** Checks that a property holds for the inputs of fast-check; throws its smallest counterexample. */
export function holds<T>(property: IProperty<T>, parameters: Parameters<T> = {}): void {
  // Synchronous for a synchronous property, which the type of `assert` cannot express.
  void assert(property, parameters);
}
