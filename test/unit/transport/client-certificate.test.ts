import type { TLSSocket } from 'node:tls';
import { describe, expect, it, vi } from 'vitest';
import { closeMeansRefusal, noteAccepted } from '../../../src/transport/client-certificate.js';

const clock = vi.hoisted(() => ({ now: 0 }));
vi.mock('../../../src/async/clock.js', () => ({ wallNow: () => clock.now }));

const VALID_FROM = Date.parse('2026-01-01T00:00:00Z');
const VALID_TO = Date.parse('2027-01-01T00:00:00Z');

/** A socket that has sent a client certificate, and whose peer has asked for it. */
function socket({ certificate = true, isAsked = true } = {}): TLSSocket {
  const validity = { valid_from: new Date(VALID_FROM).toUTCString(), valid_to: new Date(VALID_TO).toUTCString() };
  return {
    getCertificate: () => (certificate ? validity : {}),
    getSharedSigalgs: () => (isAsked ? ['ECDSA+SHA256'] : []),
  } as unknown as TLSSocket;
}

describe('a close after the handshake', () => {
  it('means nothing where no certificate was sent, or none was asked for', () => {
    expect(closeMeansRefusal(socket({ certificate: false }), undefined)).toBe(false);
    expect(closeMeansRefusal(socket({ isAsked: false }), undefined)).toBe(false);
  });

  it('means that the certificate is refused until a peer has accepted it', () => {
    const options = {};
    clock.now = VALID_FROM;
    expect(closeMeansRefusal(socket(), undefined)).toBe(true);
    expect(closeMeansRefusal(socket(), options)).toBe(true);
    noteAccepted(options);
    expect(closeMeansRefusal(socket(), options)).toBe(false);
    expect(closeMeansRefusal(socket(), {})).toBe(true);
  });

  it.each([
    ['before the certificate is valid', VALID_FROM - 1, true],
    ['at its first moment', VALID_FROM, false],
    ['at its last moment', VALID_TO, false],
    ['after it has expired', VALID_TO + 1, true],
  ])('of a peer that has accepted the certificate before counts by its validity: %s', (_, now, refused) => {
    const options = {};
    noteAccepted(options);
    clock.now = now;
    expect(closeMeansRefusal(socket(), options)).toBe(refused);
  });
});
