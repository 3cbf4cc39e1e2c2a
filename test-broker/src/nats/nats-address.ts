import type { ConnectionOptions } from 'nats';

/**
 * Reads `nats://[user:password@|token@]host[:port][,...]` into options of the `nats` package, which does not read
 * the credentials in an address itself; `tls://` enables TLS. Throws TypeError for any other text.
 */
export function natsAddress(address: string): ConnectionOptions {
  const urls = address.split(',').map((part) => parse(part.trim(), address));
  const options: ConnectionOptions = { servers: urls.map((url) => `${url.hostname}:${url.port || '4222'}`) };
  const named = urls.find((url) => url.username !== '');
  if (urls.some((url) => url.protocol === 'tls:')) options.tls = {};
  if (!named) return options;
  const user = decodeURIComponent(named.username);
  return named.password === ''
    ? { ...options, token: user }
    : { ...options, user, pass: decodeURIComponent(named.password) };
}

function parse(part: string, address: string): URL {
  const text = part.includes('://') ? part : `nats://${part}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || url.hostname === '' || !['nats:', 'tls:'].includes(url.protocol)) {
    throw new TypeError(`expected a NATS address such as nats://localhost:4222, got ${JSON.stringify(address)}`);
  }
  return url;
}
