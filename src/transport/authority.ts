import { isIP } from 'node:net';

/** `host:port`, with brackets around an IPv6 address. */
export function authorityOf(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Why no connection can be made to `host` and `port`, or null when one can be tried. HTTP/2 wants them as part of a URL, and
 * names what it cannot use only when the connection exists.
 */
export function addressFault(host: string, port: number): string | null {
  if (host === '') return 'it has no host';
  if (host.includes('%')) return 'it has a zone id, which HTTP/2 cannot carry';
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return `its port is not from 1 to 65535 but ${port}`;
  return isHostOnly(`http://${authorityOf(host, port)}`) ? null : 'its host makes no valid URL';
}

function isHostOnly(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { hostname, username, password, pathname, search, hash } = new URL(text);
  return hostname !== '' && pathname === '/' && `${username}${password}${search}${hash}` === '';
}
