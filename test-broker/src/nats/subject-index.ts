import { hasWildcard } from './subjects.js';

/** A member of the index, with its queue group, empty for none. */
export interface Indexed {
  readonly queue: string;
}

/** The recipients of a subject at one moment. Immutable, so that a delivery can keep iterating over it. */
export interface Recipients<T> {
  /** Each of these gets the message. */
  readonly singles: readonly T[];
  /** One member of each of these gets the message. */
  readonly groups: readonly (readonly T[])[];
}

const MAX_CACHED_SUBJECTS = 65_536;
const NO_RECIPIENTS: Recipients<never> = { singles: [], groups: [] };

/**
 * Subscriptions by subject. A map holds literal subjects, a tree of tokens holds wildcards. The recipients of a subject
 * are cached until a subscription changes them, so a publish to a known subject costs one map look-up.
 */
export class SubjectIndex<T extends Indexed> {
  readonly #literals = new Map<string, Set<T>>();
  #wildcards = new PatternNode<T>();
  readonly #resolved = new Map<string, Recipients<T>>();

  /** Adds a member under a valid subscription subject. */
  add(pattern: string, member: T): void {
    if (hasWildcard(pattern)) {
      this.#wildcards.add(pattern.split('.'), 0, member);
      this.#resolved.clear();
      return;
    }
    const members = this.#literals.get(pattern);
    if (members) members.add(member);
    else this.#literals.set(pattern, new Set([member]));
    this.#resolved.delete(pattern);
  }

  /** Removes a member; does nothing when it is absent. */
  remove(pattern: string, member: T): void {
    if (hasWildcard(pattern)) {
      this.#wildcards.remove(pattern.split('.'), 0, member);
      this.#resolved.clear();
      return;
    }
    const members = this.#literals.get(pattern);
    if (!members?.delete(member)) return;
    if (members.size === 0) this.#literals.delete(pattern);
    this.#resolved.delete(pattern);
  }

  /** The recipients of a message on the subject. */
  match(subject: string): Recipients<T> {
    const known = this.#resolved.get(subject);
    if (known) return known;
    const found = this.#resolve(subject);
    // Subjects that are used once, such as reply inboxes, must not accumulate.
    if (this.#resolved.size >= MAX_CACHED_SUBJECTS) this.#resolved.clear();
    this.#resolved.set(subject, found);
    return found;
  }

  #resolve(subject: string): Recipients<T> {
    const members: T[] = [];
    const literal = this.#literals.get(subject);
    if (literal) members.push(...literal);
    if (!this.#wildcards.empty) {
      const tokens = subject.split('.');
      if (!tokens.includes('')) this.#wildcards.collect(tokens, 0, members);
    }
    return members.length === 0 ? NO_RECIPIENTS : grouped(members);
  }
}

function grouped<T extends Indexed>(members: T[]): Recipients<T> {
  const groups = new Map<string, T[]>();
  for (const member of members) {
    if (member.queue === '') continue;
    const group = groups.get(member.queue);
    if (group) group.push(member);
    else groups.set(member.queue, [member]);
  }
  if (groups.size === 0) return { singles: members, groups: [] };
  return { singles: members.filter((member) => member.queue === ''), groups: [...groups.values()] };
}

/** A node in the tree of wildcard subjects; the keys of `#next` are tokens, including `*` and `>`. */
class PatternNode<T> {
  readonly #members = new Set<T>();
  readonly #next = new Map<string, PatternNode<T>>();

  get empty(): boolean {
    return this.#members.size === 0 && this.#next.size === 0;
  }

  add(tokens: readonly string[], depth: number, member: T): void {
    const token = tokens[depth];
    if (token === undefined) {
      this.#members.add(member);
      return;
    }
    let next = this.#next.get(token);
    if (!next) {
      next = new PatternNode<T>();
      this.#next.set(token, next);
    }
    next.add(tokens, depth + 1, member);
  }

  remove(tokens: readonly string[], depth: number, member: T): void {
    const token = tokens[depth];
    if (token === undefined) {
      this.#members.delete(member);
      return;
    }
    const next = this.#next.get(token);
    next?.remove(tokens, depth + 1, member);
    if (next?.empty) this.#next.delete(token);
  }

  collect(tokens: readonly string[], depth: number, into: T[]): void {
    const token = tokens[depth];
    if (token === undefined) {
      into.push(...this.#members);
      return;
    }
    const rest = this.#next.get('>');
    if (rest) into.push(...rest.#members);
    this.#next.get('*')?.collect(tokens, depth + 1, into);
    // A published `*` or `>` is a plain token; the branches of that name were visited above.
    if (token !== '*' && token !== '>') this.#next.get(token)?.collect(tokens, depth + 1, into);
  }
}
