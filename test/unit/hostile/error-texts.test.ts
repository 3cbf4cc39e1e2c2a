import { describe, expect, it } from 'vitest';
import { toConnectionError, toError } from '../../../src/cluster/failures.js';
import { ConnectionError, errorFromAsyncError, errorFromStatus, UnexpectedError } from '../../../src/errors.js';
import { sendError } from '../../../src/nats/failures.js';
import { PendingPublish } from '../../../src/nats/pending-publish.js';
import { lostError } from '../../../src/publish/publish-errors.js';
import { connectionFailure } from '../../../src/transport/connection-failure.js';
import { RpcFailure, Status } from '../../../src/transport/status.js';
import { refusedResponse, serverEnd } from '../../../src/transport/stream-end.js';

const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Surrogate}\u202a-\u202e\u2066-\u2069]/u;
/** What a peer writes to put a line into somebody's log, and to fill it. */
const HOSTILE_TEXT = `x\r\n2026-01-01 ERROR injected\u001b[31m\u202e${'y'.repeat(60_000)}`;
const target = { id: HOSTILE_TEXT, address: HOSTILE_TEXT } as never;
const publish = new PendingPublish(
  { subject: 'orders', data: new Uint8Array(), wanted: 1, correlationId: 'c', timeout: 1, signal: undefined } as never,
  () => {},
);

/** Every way on which a text of a peer gets into an error. */
const WAYS: Readonly<Record<string, () => Error>> = {
  'the text of a status': () => errorFromStatus('CreateStream', { code: 13, details: HOSTILE_TEXT }),
  'the text of a status, in the cause': () => new RpcFailure(Status.INTERNAL, HOSTILE_TEXT, { sent: true }),
  'the text of a status of a probe': () =>
    toConnectionError(new RpcFailure(14, HOSTILE_TEXT, { sent: true }), { operation: 'connect' }) as Error,
  'a refused publish': () => errorFromAsyncError({ code: 3, message: HOSTILE_TEXT }),
  'the content type of a proxy': () =>
    new RpcFailure(2, refusedResponse({ headers: { ':status': '502', 'content-type': HOSTILE_TEXT } })!.message, {
      sent: true,
    }),
  'the note of a lost connection': () =>
    connectionFailure('host:1', 'lost', { sent: true, note: `GOAWAY: ${HOSTILE_TEXT}` }),
  'the error of a lost connection': () =>
    connectionFailure('host:1', 'tls-hostname', { sent: true, cause: new Error(HOSTILE_TEXT) }),
  'an advertised address': () =>
    toError('Publish', connectionFailure(HOSTILE_TEXT, 'unreachable', { sent: false }), {
      broker: HOSTILE_TEXT,
    }) as Error,
  'a publish stream that broke': () =>
    lostError(target, serverEnd({ headers: { 'grpc-status': '13', 'grpc-message': HOSTILE_TEXT } }), null),
  'the error of a NATS connection': () => sendError(publish, new Error(HOSTILE_TEXT), true),
  'a text that was not shortened': () => new UnexpectedError(HOSTILE_TEXT),
  'a text that was not shortened, with a reason': () => new ConnectionError(HOSTILE_TEXT, { reason: 'lost' }),
};

describe('error texts', () => {
  it.each(Object.keys(WAYS))('%s: one line, and not all of it', (way) => {
    const { message } = WAYS[way]!();
    expect(message).not.toMatch(UNSAFE);
    expect(message).toMatch(/x.*injected/);
    expect(message.length).toBeLessThanOrEqual(way.startsWith('a text') ? 2_100 : 1_000);
  });

  it('are recognised by their beginning: patterns do not search megabytes', () => {
    const message = 'failed to resume stream: '.repeat(100_000);
    expect(errorFromAsyncError({ code: 3, message })).toMatchObject({ code: 'SERVER' });
  });
});
