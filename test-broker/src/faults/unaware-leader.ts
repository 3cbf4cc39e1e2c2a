/** A newly elected metadata leader that does not find existing groups: counts the joins that it refuses. */
export class UnawareLeader {
  #joins = 0;
  #elected = false;

  /** Number of joins that it still refuses. */
  get pending(): number {
    return this.#joins;
  }

  /** Makes the next elected leader refuse this number of joins. */
  plan(joins: number): void {
    this.#joins = joins;
    this.#elected = false;
  }

  /** Records the election of a leader. */
  elected(): void {
    this.#elected = true;
  }

  /** Returns whether this join of an existing group is refused; consumes one refusal. */
  take(): boolean {
    if (!this.#elected || this.#joins === 0) return false;
    this.#joins--;
    return true;
  }
}
