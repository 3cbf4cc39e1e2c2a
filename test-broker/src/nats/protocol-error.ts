/** The end of a client's connection; `wire` is what the client is told in `-ERR`, null when the server just hangs up. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  constructor(readonly wire: string | null) {
    super(wire ?? 'unreadable command');
  }
}
