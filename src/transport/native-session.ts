import type { Http2Session, Http2Stream } from 'node:http2';

/** Holds a native session for as long as the native stream lives that it was registered for. */
const sessionsOfStreams = new FinalizationRegistry<object>(() => {});

/**
 * Lets the native half of a session live longer than that of its stream.
 *
 * Node frees both when they are collected, in any order, and ends the process at an assertion
 * (`current_nghttp2_memory_ == 0`) when the session goes first while the stream still has part of a header block. A server that
 * breaks off a header block is enough for that, and so is a client that breaks off the trailers of a request after more than
 * eight CONTINUATION frames. Where a release of Node has no such handle, this does nothing.
 */
export function keepForStream(session: Http2Session, stream: Http2Stream): void {
  const ofSession = nativeHandle(session);
  const ofStream = nativeHandle(stream);
  if (ofSession !== undefined && ofStream !== undefined) sessionsOfStreams.register(ofStream, ofSession);
}

let handleKey: symbol | undefined;

/** The JavaScript object of the native half. Node has no public way to it. */
function nativeHandle(owner: object): object | undefined {
  handleKey ??= Object.getOwnPropertySymbols(owner).find(({ description }) => description === 'kHandle');
  const handle: unknown = handleKey === undefined ? undefined : Reflect.get(owner, handleKey);
  return typeof handle === 'object' && handle !== null ? handle : undefined;
}
