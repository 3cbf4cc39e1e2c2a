import { assert, type IProperty, type Parameters } from 'fast-check';

/** Shows that a property holds for what fast-check comes up with; throws its smallest counterexample. */
export function holds<T>(property: IProperty<T>, parameters: Parameters<T> = {}): void {
  // Synchronous for a synchronous property, which the type of `assert` cannot say.
  void assert(property, parameters);
}
