import type { Rule } from './validate.js';

/** The stream that the server keeps cursors in. */
export const CURSORS_STREAM = '__cursors';
/** The stream in which the server records what happens to streams and groups. */
export const ACTIVITY_STREAM = '__activity';

/**
 * The names that a Liftbridge server can hold. The server uses the name of a stream as the name of a folder and as part
 * of NATS subjects, and checks almost nothing: a wrong one ends the process, now and at each later start.
 */

const LONGEST_STREAM_NAME = 255;
/** NATS closes the connection of a client whose command line is longer than 4,096 bytes; the rest is for the command. */
const LONGEST_SUBJECT = 4_000;
const LONGEST_HEADER_NAME = 32_767;

/** The characters that end a word of the NATS protocol. */
const SEPARATORS: Readonly<Record<string, string>> = {
  ' ': 'a space',
  '\t': 'a tab',
  '\r': 'a carriage return',
  '\n': 'a line feed',
  '\0': 'a NUL character',
};

const NAME_SEPARATOR = /[ \t\r\n\0]/;
const SUBJECT_SEPARATOR = /[ \t\r\n]/;

/** Why no server holds a stream of that name; null when one can. */
export function streamNameFault(name: string): string | null {
  return (
    emptyFault(name) ??
    textFault(name, NAME_SEPARATOR) ??
    lengthFault(name, LONGEST_STREAM_NAME) ??
    emptyTokenFault(name.split('.'))
  );
}

/** Why a stream of that name must not be created; null when it is safe. Stricter than `streamNameFault`. */
export function newStreamNameFault(name: string): string | null {
  const fault = streamNameFault(name);
  if (fault !== null) return fault;
  if (name.includes('/')) return 'it has a slash';
  const wildcard = name.split('.').find((token) => token === '*' || token === '>');
  return wildcard === undefined ? null : `the part "${wildcard}" is a NATS wildcard`;
}

/** Why a stream with this number of partitions must not be created on the subject; null when it is safe. */
export function streamSubjectFault(subject: string, partitions: number): string | null {
  const fault = subjectFault(subject);
  if (fault !== null) return fault;
  const tokens = subject.split('.');
  const everything = tokens.indexOf('>');
  if (everything === -1) return null;
  if (everything < tokens.length - 1) return 'the wildcard ">" is not its last part';
  return partitions > 1 ? 'the wildcard ">" allows one partition only' : null;
}

/** Why a load-balance group must not be used on the subject; null when it is safe. The empty group is none. */
export function loadBalanceGroupFault(group: string, subject: string): string | null {
  const fault = textFault(group, SUBJECT_SEPARATOR);
  if (fault !== null) return fault;
  const bytes = Buffer.byteLength(group) + Buffer.byteLength(subject);
  return bytes > LONGEST_SUBJECT ? `group and subject take ${bytes} bytes` : null;
}

/** Why a message must not be published to the subject; null when it can be. */
export function publishSubjectFault(subject: string): string | null {
  const fault = subjectFault(subject);
  if (fault !== null) return fault;
  const wildcard = subject.split('.').find((token) => token === '*' || token === '>');
  return wildcard === undefined ? null : `the part "${wildcard}" is a wildcard, and a message goes to one subject`;
}

/** Why the name of a header must not be used; null when it is safe. */
export function headerNameFault(name: string): string | null {
  return lengthFault(name, LONGEST_HEADER_NAME) ?? surrogateFault(name);
}

/** Why NATS ends the connection of a client that publishes to the subject, or with it as the reply; null when it does not. */
export function subjectLengthFault(subject: string): string | null {
  return lengthFault(subject, LONGEST_SUBJECT);
}

function subjectFault(subject: string): string | null {
  return (
    emptyFault(subject) ??
    textFault(subject, SUBJECT_SEPARATOR) ??
    lengthFault(subject, LONGEST_SUBJECT) ??
    emptyTokenFault(subject.split('.'))
  );
}

function emptyFault(text: string): string | null {
  return text === '' ? 'it is empty' : null;
}

function textFault(text: string, separator: RegExp): string | null {
  const found = separator.exec(text);
  if (found !== null) return `it has ${SEPARATORS[found[0]]}`;
  return surrogateFault(text);
}

/** `String.prototype.isWellFormed` of Node 20, which the types of ES2023 do not have. */
function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** Such a text would come back as another one. */
function surrogateFault(text: string): string | null {
  return isWellFormed(text) ? null : 'it has half of a surrogate pair, which UTF-8 cannot hold';
}

function lengthFault(text: string, longest: number): string | null {
  // No character takes more than three bytes for each of its UTF-16 units.
  if (text.length * 3 <= longest) return null;
  const bytes = Buffer.byteLength(text);
  return bytes > longest ? `it takes ${bytes} bytes` : null;
}

function emptyTokenFault(tokens: readonly string[]): string | null {
  return tokens.includes('') ? 'a part between its dots is empty' : null;
}

/** A rule for strings that a function finds faults in. */
function textRule(expected: string, find: (text: string) => string | null): Rule {
  return {
    expected,
    accepts: (value) => typeof value === 'string' && find(value) === null,
    fault: (value) => (typeof value === 'string' ? find(value) : null),
  };
}

const STREAM_NAME_GRAMMAR = `a non-empty string of at most ${LONGEST_STREAM_NAME} bytes without space, tab, line end, NUL and empty part between dots`;

/** The name of a stream that exists, or may exist. */
export const streamName: Rule = textRule(STREAM_NAME_GRAMMAR, streamNameFault);

/** The name of a stream that is to be created. */
export const newStreamName: Rule = textRule(
  `${STREAM_NAME_GRAMMAR}, without slash and without a part that is "*" or ">"`,
  newStreamNameFault,
);

/** Checks the subject of a new stream with this number of partitions. */
export function streamSubject(partitions: number): Rule {
  return textRule(
    `a NATS subject: 1 to ${LONGEST_SUBJECT} bytes without space, tab and line ends, no empty part between dots; ">" only as the last part and with one partition`,
    (subject) => streamSubjectFault(subject, partitions),
  );
}

/** The load-balance group of a new stream on the subject. */
export function loadBalanceGroup(subject: string): Rule {
  return textRule(
    `a string without space, tab and line ends, of up to ${LONGEST_SUBJECT} bytes together with the subject`,
    (group) => loadBalanceGroupFault(group, subject),
  );
}

/** A subject that a message is published to. */
export const publishSubject: Rule = textRule(
  `a NATS subject without wildcards: 1 to ${LONGEST_SUBJECT} bytes without space, tab and line ends, no empty part between dots`,
  publishSubjectFault,
);

/** The subject that acks go to; an empty string is none. */
export const ackInbox: Rule = textRule(`empty or ${publishSubject.expected}`, (inbox) =>
  inbox === '' ? null : publishSubjectFault(inbox),
);

/** The ack inbox of an envelope: one that is too long ends the NATS connection that the server sends acks on. */
export const envelopeInbox: Rule = textRule(
  `a string of at most ${LONGEST_SUBJECT} bytes`,
  (inbox) => subjectLengthFault(inbox) ?? surrogateFault(inbox),
);

/** The id of a consumer group, a consumer or a cursor: the server takes any text. */
export const identifier: Rule = textRule('a non-empty string', (text) => emptyFault(text) ?? surrogateFault(text));

/** Text that comes back as it was sent, for example a correlation id; it may be empty. */
export const wellFormedText: Rule = textRule('a string', surrogateFault);

/** The name of a header. */
export const headerName: Rule = textRule(`a string of at most ${LONGEST_HEADER_NAME} bytes`, headerNameFault);
