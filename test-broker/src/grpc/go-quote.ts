const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Quotes the value of a header as Go's %q does: bytes that are not UTF-8 become `\xNN`. */
export function goQuote(header: string): string {
  const bytes = Buffer.from(header, 'latin1');
  let quoted = '"';
  for (let at = 0; at < bytes.length; ) {
    const size = characterSize(bytes, at);
    quoted += size === 0 ? hex(bytes[at]!) : quoteCharacter(bytes.toString('utf8', at, at + size));
    at += Math.max(size, 1);
  }
  return `${quoted}"`;
}

/** Number of bytes of the character that begins here; 0 for an invalid one. */
function characterSize(bytes: Buffer, at: number): number {
  const lead = bytes[at]!;
  const size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  try {
    utf8.decode(bytes.subarray(at, at + size));
    return size;
  } catch {
    return 0;
  }
}

function quoteCharacter(character: string): string {
  const escaped = ESCAPES[character];
  if (escaped !== undefined) return escaped;
  if (/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(character)) return character;
  const code = character.codePointAt(0)!;
  if (code < 0x80) return hex(code);
  const digits = code.toString(16);
  return code > 0xffff ? `\\U${digits.padStart(8, '0')}` : `\\u${digits.padStart(4, '0')}`;
}

function hex(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}
