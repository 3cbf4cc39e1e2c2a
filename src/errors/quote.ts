/** Characters that errors quote at most of a text that somebody else wrote. */
const LONGEST = 200;

/** Control characters, line separators and what turns the direction of text: they would let a peer write log lines of its own. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Surrogate}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A text of a peer or of the application as errors quote it: not too long, control characters as `\u{7}`. */
export function excerpt(text: string, longest = LONGEST): string {
  const escaped = cutTo(text, longest).replace(UNSAFE, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
  return cutTo(escaped, longest);
}

/** Characters of a whole error text at most. */
const LONGEST_TEXT = 2_000;

/** The text of an error, of whatever parts it was made: one line that ends. Each part of a peer should be an excerpt already. */
export function errorText(text: string): string {
  return excerpt(text, LONGEST_TEXT);
}

/** An excerpt between quotation marks, as JSON has it. */
export function quoted(text: string, longest = LONGEST): string {
  return `"${excerpt(JSON.stringify(cutTo(text, longest)).slice(1, -1), longest)}"`;
}

function cutTo(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest - 3)}...` : text;
}

/** What a thrown value says of itself; anything may be thrown. */
export function messageOf(thrown: unknown): string {
  try {
    const message =
      typeof thrown === 'object' && thrown !== null ? (thrown as { message?: unknown }).message : undefined;
    return excerpt(typeof message === 'string' ? message : String(thrown));
  } catch {
    return 'a value that cannot be shown';
  }
}
