/** A metadata leader that, just elected, does not find groups that exist: how many joins it is to refuse for that. */
export class UnawareLeader {
  #joins = 0;
  #elected = false;

  /** Joins that are still to be refused. */
  get pending(): number {
    return this.#joins;
  }

  /** The leader that is elected next refuses this number of joins. */
  plan(joins: number): void {
    this.#joins = joins;
    this.#elected = false;
  }

  /** A leader is elected. */
  elected(): void {
    this.#elected = true;
  }

  /** Whether this join of a group that exists is refused; uses one up. */
  take(): boolean {
    if (!this.#elected || this.#joins === 0) return false;
    this.#joins--;
    return true;
  }
}
