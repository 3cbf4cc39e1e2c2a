/** The actual subject and reply of a publish: a NATS server reads both from one blank-separated line. */
export interface PublishTarget {
  readonly subject: string;
  readonly reply: string;
}

/** The server takes lines of 4,096 bytes; the rest is for the command and the size. */
const MAX_LINE_BYTES = 4_000;

/** Whether a subject has a token that is a wildcard: `*` for one token, `>` for all that follow. */
export function hasWildcard(subject: string): boolean {
  // Most subjects have none, so they need no split.
  if (!subject.includes('*') && !subject.includes('>')) return false;
  return subject.split('.').some((token) => token === '*' || token === '>');
}

/**
 * Whether NATS accepts a subscription on the subject: no blanks, no line ends, no empty token, `>` only as the last
 * token. A `*` or `>` that is only part of a token is literal, as in the real server.
 */
export function isSubscribable(subject: string): boolean {
  if (/[ \t\r\n]/.test(subject)) return false;
  const tokens = subject.split('.');
  return tokens.every((token, index) => token !== '' && (token !== '>' || index === tokens.length - 1));
}

/** Whether a subject has no empty token and no wildcard: the check of a pedantic server for a publish. */
export function isLiteral(subject: string): boolean {
  return subject.split('.').every((token) => token !== '' && token !== '*' && token !== '>');
}

/** Whether a message on `subject` reaches a subscription on `pattern`; wildcards inside `subject` are literal. */
export function subjectMatches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const tokens = subject.split('.');
  if (tokens.includes('')) return false;
  for (let index = 0; index < wanted.length; index++) {
    if (wanted[index] === '>' && index === wanted.length - 1) return tokens.length > index;
    if (index >= tokens.length) return false;
    if (wanted[index] !== '*' && wanted[index] !== tokens[index]) return false;
  }
  return wanted.length === tokens.length;
}

/** Whether the server would end the connection over the length of a line with this subject, or subject and reply. */
export function isTooLong(line: string): boolean {
  // No character takes more than three bytes for each of its UTF-16 units.
  return line.length * 3 > MAX_LINE_BYTES && Buffer.byteLength(line) > MAX_LINE_BYTES;
}

/**
 * What becomes of a subject and a reply that the Go client writes unchecked into `PUB <subject> <reply> <size>`: `a b`
 * is subject `a` with reply `b`. Null when the server cannot read the line; it then drops the connection and the message.
 */
export function publishTarget(subject: string, reply: string): PublishTarget | null {
  const line = reply === '' ? subject : `${subject} ${reply}`;
  if (line.includes('\n') || isTooLong(line)) return null;
  const words = line.split(/[ \t]+/).filter((word) => word !== '');
  const [first, second] = words;
  if (first === undefined || words.length > 2) return null;
  return { subject: first, reply: second ?? '' };
}
