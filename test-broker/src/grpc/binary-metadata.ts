import { goQuote } from './go-quote.js';

const BASE64 = /[A-Za-z0-9+/]/;
const QUANTUM = 4;

/**
 * The error of grpc-go for a header whose name ends with `-bin` and whose value is not base64; null for valid base64.
 */
export function binaryMetadataFault(name: string, value: string): string | null {
  if (!name.endsWith('-bin')) return null;
  const position = base64Fault(value);
  if (position === null) return null;
  return `malformed binary metadata ${goQuote(value)} in header ${goQuote(name)}: illegal base64 data at input byte ${position}`;
}

/**
 * The position at which Go's decoder stops; null when it reads the whole text. A text whose length is a multiple of four
 * may be padded, any other must not.
 */
function base64Fault(text: string): number | null {
  const padded = text.length % QUANTUM === 0;
  for (let at = 0; at < text.length; at++) {
    if (BASE64.test(text[at]!)) continue;
    return padded && text[at] === '=' ? paddingFault(text, at) : at;
  }
  // One character of a last group holds no byte.
  return text.length % QUANTUM === 1 ? text.length - 1 : null;
}

function paddingFault(text: string, at: number): number | null {
  const place = at % QUANTUM;
  if (place < 2) return at;
  if (place === 2 && text[at + 1] !== '=') return at;
  const end = at + QUANTUM - place;
  return end < text.length ? end : null;
}
