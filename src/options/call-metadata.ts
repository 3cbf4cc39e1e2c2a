/** What gRPC, or HTTP/2 beneath it, keeps for itself. */
const RESERVED = new Set(['te', 'content-type', 'user-agent', 'host', 'connection']);

/** Metadata as gRPC takes it: names in lower case, values of `-bin` names as bytes. Throws TypeError on what it cannot carry. */
export function checkedMetadata(metadata: Readonly<Record<string, string>>): [name: string, value: string | Buffer][] {
  return Object.entries(metadata).map(([name, value]) => {
    const key = name.toLowerCase();
    if (RESERVED.has(key) || key.startsWith('grpc-') || key.startsWith(':'))
      throw new TypeError(`metadata name "${name}" is reserved by gRPC`);
    if (!/^[0-9a-z_.-]+$/.test(key)) throw new TypeError(`metadata name "${name}" may only hold a-z, 0-9, _ - and .`);
    return [key, key.endsWith('-bin') ? Buffer.from(value) : asciiValue(name, value)];
  });
}

function asciiValue(name: string, value: string): string {
  if (!/^[\x20-\x7e]*$/.test(value))
    throw new TypeError(`metadata value of "${name}" is not printable ASCII; give it a name that ends in "-bin"`);
  return value;
}
