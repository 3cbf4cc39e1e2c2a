import { InvalidArgumentError } from '../errors.js';

// A server closes the connection of a client whose PUB line is longer than 4,096 bytes; the rest is for the size.
const LONGEST = 4_000;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they would end or split the PUB line
const SEPARATOR = /[\u0000-\u0020\u007f]/;

/** Throws InvalidArgumentError unless a message can be published to the subject. */
export function checkSubject(where: string, name: string, subject: unknown): asserts subject is string {
  const fault = faultOf(subject);
  if (fault === null) return;
  const shown = typeof subject === 'string' ? JSON.stringify(subject.slice(0, 100)) : String(subject);
  throw new InvalidArgumentError(`${where}: expected ${name} to be a NATS subject, got ${shown}: ${fault}`, {
    operation: where,
  });
}

function faultOf(subject: unknown): string | null {
  if (typeof subject !== 'string') return `it is of type ${subject === null ? 'null' : typeof subject}`;
  if (subject === '') return 'it is empty';
  if (SEPARATOR.test(subject)) return 'it has a blank or a control character';
  if (Buffer.byteLength(subject) > LONGEST) return `it is longer than ${LONGEST} bytes`;
  const tokens = subject.split('.');
  if (tokens.includes('')) return 'a part between its dots is empty';
  if (tokens.includes('*') || tokens.includes('>'))
    return 'a message goes to one subject, so wildcards are not allowed';
  return null;
}
