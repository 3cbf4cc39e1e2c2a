import { frame } from '../../src/transport/frames.js';
import { type Behaviour, frameBytes, type HostileLink } from './hostile-proxy.js';
import { FrameType, type Http2Frame, headerBlock } from './raw-peer.js';

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION } =
  FrameType;
const OK = { ':status': '200', 'content-type': 'application/grpc' };
const END_STREAM = 1;
const EVIL = `x\u0007\u001b[31m${'%0d%0aERROR%20injected'}`;

type Script = (link: HostileLink, frame: Http2Frame) => void;

/** Sends this on each connection before any call reaches the broker, and nothing afterwards. */
const greeting = (script: (link: HostileLink) => void): Behaviour => ({
  onConnect: (link) => {
    script(link);
    return true;
  },
});

/** The frame that starts a response of the broker. */
const isAnswer = ({ type, flags }: Http2Frame): boolean => type === HEADERS && (flags & END_STREAM) === 0;
/** The frame that ends a response of the broker. */
const isEnd = ({ type, flags }: Http2Frame): boolean => type === HEADERS && (flags & END_STREAM) !== 0;
const isData = ({ type, payload }: Http2Frame): boolean => type === DATA && payload.length > 0;

/** Runs the script at a matching frame. `instead`: drops this frame and all later ones on its stream. */
function at(fits: (frame: Http2Frame) => boolean, script: Script, instead = false): Behaviour {
  return {
    onFrame: (frame, link) => {
      const cut = `cut ${frame.streamId}`;
      if (frame.streamId !== 0 && link.notes.has(cut)) return false;
      if (!fits(frame)) return undefined;
      script(link, frame);
      if (instead) link.notes.set(cut, 1);
      return !instead;
    },
  };
}

const before = (script: Script): Behaviour => at(isAnswer, script);
const insteadOf = (script: Script): Behaviour => at(isAnswer, script, true);
/** Responds to every call with these headers and this body. */
const page = (headers: Record<string, string>, body = '', trailers?: Record<string, string>): Behaviour =>
  insteadOf((link, { streamId }) => {
    link.headers(streamId, headers, body === '' && trailers === undefined);
    if (body !== '') link.data(streamId, Buffer.from(body), trailers === undefined);
    if (trailers !== undefined) link.headers(streamId, trailers, true);
  });
const trailers = (headers: Record<string, string>): Behaviour =>
  at(isEnd, (link, { streamId }) => link.headers(streamId, headers, true), true);
/** Replaces the messages of each response with these bytes. */
const body = (bytes: Uint8Array): Behaviour => at(isData, (link, { streamId }) => link.data(streamId, bytes), true);
const status = (text: string, message?: string): Behaviour =>
  page({ ...OK, 'grpc-status': text, ...(message === undefined ? {} : { 'grpc-message': message }) });
const many = (count: number, script: Script): Script => {
  return (link, frame) => {
    if (link.count('flood') > 3) return;
    for (let i = 0; i < count; i++) script(link, frame);
  };
};
const setting = (id: number, value: number): Buffer => {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(id);
  bytes.writeUInt32BE(value, 2);
  return bytes;
};
const http1 = (line: string, text: string): Behaviour =>
  greeting((link) => {
    link.write(`HTTP/1.1 ${line}\r\nContent-Type: text/html\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
    link.end();
  });

/** On each connection, before and instead of HTTP/2. */
const GREETINGS: Record<string, Behaviour> = {
  'closes immediately': greeting((link) => link.end()),
  'resets immediately': greeting((link) => link.reset()),
  'sends nothing': greeting(() => undefined),
  'sends nothing and reads nothing': greeting((link) => link.stopReading()),
  'greets with zeros': greeting((link) => link.write(Buffer.alloc(100_000))),
  'greets with 0xff': greeting((link) => link.write(Buffer.alloc(100_000, 0xff))),
  'greets as SSH': greeting((link) => link.write('SSH-2.0-OpenSSH_9.6\r\n')),
  'greets as NATS': greeting((link) => link.write('INFO {"server_id":"x"}\r\n-ERR \'Unknown\'\r\n')),
  'sends a TLS alert': greeting((link) => link.write(Buffer.from([21, 3, 3, 0, 2, 2, 40]))),
  'sends the beginning of a TLS handshake': greeting((link) => link.write(Buffer.from([22, 3, 3, 0x40, 0, 2]))),
  'sends HTTP/1.1 400': http1('400 Bad Request', 'no'),
  'sends HTTP/1.1 302': http1('302 Found\r\nLocation: http://169.254.169.254/latest', 'go there'),
  'sends HTTP/1.1 505 and stays open': greeting((link) => link.write('HTTP/1.1 505 X\r\n\r\n')),
  'sends HTTP/1.1 with an endless header': greeting((link) => link.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1e6)}`)),
  'sends half of its SETTINGS': greeting((link) => link.write(Buffer.from([0, 0, 6, 4, 0]))),
  'sends the preface of a client': greeting((link) => link.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')),
  'begins with another frame than SETTINGS': greeting((link) => link.frame(PING, 0, 0, Buffer.alloc(8))),
  'begins with GOAWAY': greeting((link) => link.word(GOAWAY, 0, 0, 0)),
  'begins with SETTINGS of an odd length': greeting((link) => link.frame(SETTINGS, 0, 0, Buffer.alloc(7))),
  'begins with SETTINGS on a stream': greeting((link) => link.frame(SETTINGS, 0, 1)),
  'begins with SETTINGS that enable push': greeting((link) => link.frame(SETTINGS, 0, 0, setting(2, 1))),
  'begins with a window beyond 31 bits': greeting((link) => link.frame(SETTINGS, 0, 0, setting(4, 2 ** 31))),
  'begins with frames of 1 byte': greeting((link) => link.frame(SETTINGS, 0, 0, setting(5, 1))),
  'begins with an oversized frame': greeting((link) => {
    link.frame(SETTINGS, 0, 0);
    link.write(frameBytes(DATA, 0, 1, Buffer.alloc(0)).fill(0xff, 0, 3));
  }),
  'responds to no call after its SETTINGS': greeting((link) => link.frame(SETTINGS, 0, 0)),
  'allows no streams': greeting((link) => link.frame(SETTINGS, 0, 0, setting(3, 0))),
  'gives no window': greeting((link) => link.frame(SETTINGS, 0, 0, setting(4, 0))),
  'half-closes after its SETTINGS': greeting((link) => {
    link.frame(SETTINGS, 0, 0);
    link.end();
  }),
  'sends its SETTINGS and reads nothing': greeting((link) => {
    link.frame(SETTINGS, 0, 0);
    link.stopReading();
  }),
};

/** In the middle of a valid connection. */
const FRAMES: Record<string, Behaviour> = {
  'floods SETTINGS': before(many(2_000, (link) => link.frame(SETTINGS, 0, 0, setting(3, 100)))),
  'floods acks of SETTINGS': before(many(50, (link) => link.frame(SETTINGS, 1, 0))),
  'floods PING': before(many(5_000, (link) => link.frame(PING, 0, 0, Buffer.alloc(8)))),
  'floods answers to PING': before(many(500, (link) => link.frame(PING, 1, 0, Buffer.alloc(8)))),
  'floods WINDOW_UPDATE': before(many(5_000, (link) => link.word(WINDOW_UPDATE, 0, 1))),
  'floods PRIORITY': before(many(5_000, (link, { streamId }) => link.frame(PRIORITY, 0, streamId, Buffer.alloc(5)))),
  'floods empty DATA': at(
    isEnd,
    many(5_000, (link, { streamId }) => link.data(streamId, Buffer.alloc(0))),
  ),
  'floods RST_STREAM': before(many(5_000, (link, { streamId }) => link.word(RST_STREAM, streamId, 8))),
  'floods unknown frames': before(many(5_000, (link) => link.frame(0xee, 0xff, 0, Buffer.alloc(20)))),
  'truncates a header block of many frames': before((link, { streamId }) => {
    link.frame(HEADERS, 0, streamId, headerBlock({ ':status': '200' }));
    for (let i = 0; i < 200; i++) link.frame(CONTINUATION, 0, streamId, headerBlock({ [`x-${i}`]: 'y'.repeat(100) }));
  }),
  'sends CONTINUATION out of order': before((link, { streamId }) => link.frame(CONTINUATION, 4, streamId)),
  'truncates a header block': before((link, { streamId }) => link.frame(HEADERS, 0, streamId, headerBlock(OK))),
  'sends headers that HPACK cannot read': before((link, { streamId }) =>
    link.frame(HEADERS, 4, streamId, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])),
  ),
  'promises a push': before((link, { streamId }) =>
    link.frame(PUSH_PROMISE, 4, streamId, Buffer.concat([Buffer.from([0, 0, 0, 2]), headerBlock({ ':path': '/' })])),
  ),
  'responds on a stream that the client has not opened': before((link) => link.headers(1_001, OK)),
  'responds on an even stream': before((link) => link.headers(2, OK)),
  'sends DATA before the headers': before((link, { streamId }) => link.data(streamId, frame(Buffer.alloc(3)))),
  'sends DATA on stream 0': before((link) => link.data(0, Buffer.alloc(3))),
  'sends a frame larger than the negotiated size': before((link, { streamId }) =>
    link.data(streamId, Buffer.alloc(20_000)),
  ),
  'sends PING of 7 bytes': before((link) => link.frame(PING, 0, 0, Buffer.alloc(7))),
  'sends padding longer than its frame': before((link, { streamId }) =>
    link.frame(DATA, 8, streamId, Buffer.from([9])),
  ),
  'sends WINDOW_UPDATE of 0': before((link, { streamId }) => link.word(WINDOW_UPDATE, streamId, 0)),
  'overflows the window': before((link) => {
    for (let i = 0; i < 3; i++) link.word(WINDOW_UPDATE, 0, 0x7fffffff);
  }),
  'reduces the window to 0': before((link) => link.frame(SETTINGS, 0, 0, setting(4, 0))),
  'reduces the streams to 0': before((link) => link.frame(SETTINGS, 0, 0, setting(3, 0))),
  'sends GOAWAY twice': before((link) => {
    link.word(GOAWAY, 0, 0x7fffffff, 0);
    link.word(GOAWAY, 0, 0, 0);
  }),
  'sends GOAWAY of 4 bytes': before((link) => link.word(GOAWAY, 0, 0)),
  'sends GOAWAY with a hostile text': before((link) =>
    link.frame(GOAWAY, 0, 0, Buffer.concat([Buffer.alloc(8), Buffer.from('\r\nERROR injected\u001b[2J'.repeat(500))])),
  ),
  'half-closes before a response': before((link) => link.end()),
  'resets TCP before a response': before((link) => link.reset()),
  'closes during a response': at(isData, (link) => link.destroy()),
  'closes before the status': at(isEnd, (link) => link.destroy()),
  'stops reading': before((link) => link.stopReading()),
  'stalls before a response': insteadOf(() => undefined),
  'stalls before the messages': at(isData, () => undefined, true),
  'stalls before the status': at(isEnd, () => undefined, true),
};
for (let code = 0; code <= 14; code++) {
  FRAMES[`sends GOAWAY ${code} for all calls`] = before((link) => link.word(GOAWAY, 0, 0, code));
  FRAMES[`resets calls with ${code}`] = insteadOf((link, { streamId }) => link.word(RST_STREAM, streamId, code));
}
for (const code of [0, 1, 11]) {
  FRAMES[`sends GOAWAY ${code} within a message`] = at(isData, (link) => link.word(GOAWAY, 0, 0x7fffffff, code));
  FRAMES[`resets calls with ${code} before the status`] = at(
    isEnd,
    (link, { streamId }) => link.word(RST_STREAM, streamId, code),
    true,
  );
}

/** Responses that are valid HTTP/2 and invalid gRPC. */
const ANSWERS: Record<string, Behaviour> = {
  'sends without :status': page({ 'content-type': 'application/grpc' }),
  'sends :status 0': page({ ...OK, ':status': '0' }),
  'sends :status abc': page({ ...OK, ':status': 'abc' }),
  'sends 101': page({ ...OK, ':status': '101' }),
  'sends 103 forever': insteadOf(many(300, (link, { streamId }) => link.headers(streamId, { ':status': '103' }))),
  'sends 100 first': before((link, { streamId }) => link.headers(streamId, { ':status': '100' })),
  'sends text': page({ ...OK, 'content-type': 'text/html' }, '<html>'.repeat(1_000)),
  'sends a content type with control characters': page({ ...OK, 'content-type': EVIL }),
  'sends a long content type': page({ ...OK, 'content-type': 'x'.repeat(30_000) }),
  'sends no content type': page({ ':status': '200' }),
  'sends the trailers of HTTP/1': page({ ...OK, connection: 'close', 'transfer-encoding': 'chunked' }),
  'sends capital letters': page({ ...OK, 'Grpc-Status': '0' }),
  'sends an empty body': page(OK, '', {}),
  'sends trailers without a status': trailers({ 'x-hello': 'y' }),
  'sends trailers twice': at(isEnd, (link, { streamId }) => link.headers(streamId, { 'grpc-status': '0' })),
  'sends no trailers': at(isEnd, (link, { streamId }) => link.data(streamId, Buffer.alloc(0), true), true),
  'sends data after the trailers': at(
    isEnd,
    (link, { streamId }) => {
      link.headers(streamId, { 'grpc-status': '0' }, true);
      link.data(streamId, frame(Buffer.alloc(5)));
    },
    true,
  ),
  'sends only the status OK': status('0'),
  'sends a broken grpc-message': status('13', '%zz%%%0%ff%c3%28%'),
  'sends a grpc-message with line breaks': status('13', EVIL),
  'sends a long grpc-message': status('14', '%0a'.repeat(5_000)),
  'sends a compressed message': body(Buffer.from([1, 0, 0, 0, 1, 7])),
  'sends a flag of 255': body(Buffer.from([255, 0, 0, 0, 1, 7])),
  'sends a length of 4 GiB': body(Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 7])),
  'sends a length beyond the data': at(
    isData,
    (link, { streamId }) => {
      link.data(streamId, Buffer.from([0, 0, 0, 1, 0, 7]));
      link.headers(streamId, { 'grpc-status': '0' }, true);
    },
    true,
  ),
  'sends half of a prefix': at(
    isData,
    (link, { streamId }) => {
      link.data(streamId, Buffer.from([0, 0]));
      link.headers(streamId, { 'grpc-status': '0' }, true);
    },
    true,
  ),
  'sends many messages': at(
    isData,
    many(200, (link, { streamId }) => link.data(streamId, frame(Buffer.alloc(0)))),
  ),
  'sends bytes that are not valid protobuf': body(frame(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))),
  'sends text that is not valid UTF-8': body(frame(Buffer.from([0x0a, 2, 0xc3, 0x28]))),
  'sends nested groups': body(frame(Buffer.alloc(10_000, 0x0b))),
  'responds byte by byte': {
    onFrame: (frame, link) => {
      if (!isData(frame)) return undefined;
      for (const byte of frame.payload) link.data(frame.streamId, Buffer.of(byte));
      return false;
    },
  },
};
for (const code of [204, 301, 400, 401, 403, 404, 407, 429, 500, 502, 503, 504, 599, 999])
  ANSWERS[`answers HTTP ${code}`] = page({ ':status': String(code), 'content-type': 'text/html' }, '<h1>no</h1>');
for (const text of ['17', '999', '1000', '-1', '1.5', '', 'OK', '0x0', ' 0', '99999999999999999999'])
  ANSWERS[`answers grpc-status "${text}"`] = status(text, 'odd');

/** Random changes in an otherwise valid conversation: the same for the same seed. */
export function garbage(seed: number): Behaviour {
  let state = seed >>> 0 || 1;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return {
    onBytes: (bytes) => {
      const copy = Buffer.from(bytes);
      const kind = random(6);
      if (kind === 0) copy[random(copy.length)]! ^= 1 << random(8);
      else if (kind === 1) copy.fill(random(256), random(copy.length));
      else if (kind === 2) return copy.subarray(0, random(copy.length));
      else if (kind === 3) {
        const cut = random(copy.length);
        return Buffer.concat([copy.subarray(0, cut), Buffer.alloc(random(40), random(256)), copy.subarray(cut)]);
      } else if (kind === 4) return Buffer.concat([copy, copy]);
      return copy;
    },
  };
}

/** Hostile behaviours of servers, by their description. */
export const BEHAVIOURS: Readonly<Record<string, Behaviour>> = { ...GREETINGS, ...FRAMES, ...ANSWERS };
