/** Ends a client's connection; `wire` is the text of `-ERR` to the client, null to close without one. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  constructor(readonly wire: string | null) {
    super(wire ?? 'unreadable command');
  }
}
