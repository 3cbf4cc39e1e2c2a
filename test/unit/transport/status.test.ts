import { readFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkedMetadata } from '../../../src/options/call-metadata.js';
import { timeoutHeader, USER_AGENT } from '../../../src/transport/call-headers.js';
import {
  decodeStatusMessage,
  RpcFailure,
  resetName,
  Status,
  statusName,
  statusOfHttp,
  statusOfReset,
} from '../../../src/transport/status.js';
import { holds } from '../../support/holds.js';

describe('Status', () => {
  it('has the codes of gRPC, no more and no less', () => {
    const published = Object.entries(status).filter(([, code]) => typeof code === 'number');
    expect(Object.entries(Status).sort()).toEqual(published.sort());
  });

  it('names what it does not know UNKNOWN', () => {
    expect([statusName(14), statusName(99), statusName(-1)]).toEqual(['UNAVAILABLE', 'UNKNOWN', 'UNKNOWN']);
  });
});

describe('statusOfHttp', () => {
  it.each([
    [400, 'INTERNAL'],
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'UNIMPLEMENTED'],
    [429, 'UNAVAILABLE'],
    [502, 'UNAVAILABLE'],
    [503, 'UNAVAILABLE'],
    [504, 'UNAVAILABLE'],
    [500, 'UNKNOWN'],
    [200, 'UNKNOWN'],
    [Number.NaN, 'UNKNOWN'],
  ])('maps HTTP %i to %s', (http, name) => {
    expect(statusName(statusOfHttp(http))).toBe(name);
  });
});

describe('statusOfReset', () => {
  it('follows the table of gRPC over HTTP/2', () => {
    const table = Array.from({ length: 14 }, (_, code) => [resetName(code), statusName(statusOfReset(code))]);
    expect(Object.fromEntries(table)).toEqual({
      NO_ERROR: 'INTERNAL',
      PROTOCOL_ERROR: 'INTERNAL',
      INTERNAL_ERROR: 'INTERNAL',
      FLOW_CONTROL_ERROR: 'INTERNAL',
      SETTINGS_TIMEOUT: 'INTERNAL',
      STREAM_CLOSED: 'INTERNAL',
      FRAME_SIZE_ERROR: 'INTERNAL',
      REFUSED_STREAM: 'UNAVAILABLE',
      CANCEL: 'CANCELLED',
      COMPRESSION_ERROR: 'INTERNAL',
      CONNECT_ERROR: 'INTERNAL',
      ENHANCE_YOUR_CALM: 'RESOURCE_EXHAUSTED',
      INADEQUATE_SECURITY: 'PERMISSION_DENIED',
      HTTP_1_1_REQUIRED: 'INTERNAL',
    });
    expect(resetName(0xff)).toBe('0xff');
  });
});

describe('decodeStatusMessage', () => {
  it('reads back what gRPC percent-encodes', () => {
    holds(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const encoded = [...Buffer.from(text)]
          .map((byte) =>
            byte < 0x20 || byte > 0x7e || byte === 0x25
              ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
              : String.fromCharCode(byte),
          )
          .join('');
        expect(decodeStatusMessage(encoded)).toBe(text);
      }),
    );
  });

  it('leaves badly encoded text as it is, and never throws', () => {
    expect(decodeStatusMessage('100% sure %4 %xy %')).toBe('100% sure %4 %xy %');
    expect(decodeStatusMessage('%ff')).toBe('\ufffd');
    holds(
      fc.property(fc.string(), (text) => {
        expect(typeof decodeStatusMessage(text)).toBe('string');
      }),
    );
  });
});

describe('timeoutHeader', () => {
  it.each([
    [0, '0m'],
    [-5, '0m'],
    [0.2, '1m'],
    [1500, '1500m'],
    [99_999_999, '99999999m'],
    [100_000_000, '100000S'],
    [100_000_001, '100001S'],
    [99_999_999_000, '99999999S'],
    [100_000_000_000, '1666667M'],
    [Number.MAX_SAFE_INTEGER, '99999999H'],
  ])('sends %d ms as %s', (milliseconds, header) => {
    expect(timeoutHeader(milliseconds)).toBe(header);
  });
});

describe('checkedMetadata', () => {
  it('lowers names and turns values of -bin names into bytes', () => {
    expect(checkedMetadata({ 'X-Token': 'a b', 'Trace-Bin': 'ü' })).toEqual([
      ['x-token', 'a b'],
      ['trace-bin', Buffer.from('ü')],
    ]);
  });

  it.each(['te', 'Content-Type', 'user-agent', 'grpc-timeout', 'grpc-anything', ':path'])(
    'refuses the name %s',
    (name) => {
      expect(() => checkedMetadata({ [name]: 'x' })).toThrow(/reserved by gRPC/);
    },
  );

  it('refuses names and values that HTTP cannot carry', () => {
    expect(() => checkedMetadata({ 'a b': 'x' })).toThrow(/a-z/);
    expect(() => checkedMetadata({ '': 'x' })).toThrow(/a-z/);
    expect(() => checkedMetadata({ token: 'line\nbreak' })).toThrow(/printable ASCII/);
  });
});

describe('USER_AGENT', () => {
  it('carries the version of the package', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
    expect(USER_AGENT).toBe(`liftbridge-client-node/${version}`);
  });
});

describe('RpcFailure', () => {
  it('says its code by name, its details and its cause', () => {
    const cause = new Error('why');
    const failure = new RpcFailure(5, 'no such stream', { sent: true, cause });
    expect(failure.message).toBe('NOT_FOUND: no such stream');
    expect(failure).toMatchObject({ name: 'RpcFailure', codeName: 'NOT_FOUND', sent: true, cause });
  });
});
