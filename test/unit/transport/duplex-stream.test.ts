import { once } from 'node:events';
import { type ClientHttp2Session, connect, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DuplexStream, type StreamOwner } from '../../../src/transport/duplex-stream.js';
import { frame } from '../../../src/transport/frames.js';
import { eventually } from '../../support/eventually.js';

const OWNER: StreamOwner = { connectionEnd: () => undefined, release: vi.fn() };
let server: Http2Server;
let session: ClientHttp2Session;
let onStream: (stream: ServerHttp2Stream) => void;

beforeEach(async () => {
  server = createServer();
  server.on('stream', (stream) => onStream(stream));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterEach(() => {
  session.destroy();
  server.close();
});

/** A stream on a request whose response holds two messages, with the request below. */
function opened() {
  onStream = (stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(frame(Buffer.from('one')));
    stream.write(frame(Buffer.from('two')));
  };
  const request = session.request({ ':method': 'POST', ':path': '/x' }, { endStream: false });
  const stream = new DuplexStream(OWNER, 1_024);
  stream.attach(request);
  return { request, stream };
}

describe('a stream that is paused', () => {
  it('closes its request when it is cancelled, although messages were not read', async () => {
    const { request, stream } = opened();
    stream.onFrames(() => undefined);
    stream.pause();
    await eventually('messages have arrived', () => request.readableLength > 0);
    stream.cancel('enough');
    expect(await stream.ended).toMatchObject({ code: 1, message: 'enough' });
    await eventually('the request is closed', () => request.closed && request.destroyed);
    expect(OWNER.release).toHaveBeenCalledWith(stream);
  });

  it('delivers nothing until it is resumed', async () => {
    const { request, stream } = opened();
    const messages: string[] = [];
    stream.pause();
    stream.onFrames((source, start, end) => messages.push(source.toString('utf8', start, end)));
    await eventually('messages have arrived', () => request.readableLength > 0);
    expect(messages).toEqual([]);
    stream.resume();
    await eventually('both are read', () => messages.length === 2);
    stream.cancel();
  });

  it('is not read when it is resumed before a handler is set', async () => {
    const { request, stream } = opened();
    stream.pause();
    stream.resume();
    await eventually('messages have arrived', () => request.readableLength > 0);
    expect(request.isPaused()).toBe(true);
    stream.cancel();
  });
});
