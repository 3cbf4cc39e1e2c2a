import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { frame } from 'liftbridge-client/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { outputOf } from '../../../test/support/child-process.js';
import type { GrpcServer } from '../../src/grpc/server.js';
import { RpcError } from '../../src/grpc/status.js';
import { startServer } from './fixture.js';

const HAS_GRPCIO = spawnSync('python3', ['-c', 'import grpc']).status === 0;
const MESSAGES = 500;
const SIZE = 10_000;

describe.skipIf(!HAS_GRPCIO)('a client of grpcio (skipped without python3 and grpcio)', () => {
  let server: GrpcServer;
  let deadlines = 0;
  beforeAll(async () => {
    server = await startServer({
      FetchMetadata: { kind: 'unary', handle: (payload) => payload },
      CreateStream: {
        kind: 'unary',
        handle: () => Promise.reject(new RpcError('ALREADY_EXISTS', 'größer als 100%')),
      },
      Publish: {
        kind: 'unary',
        handle: (_payload, call) => {
          if (call.deadline !== null) deadlines++;
          return new Promise(() => {});
        },
      },
      Subscribe: {
        kind: 'server-stream',
        handle: async (_payload, call) => {
          for (let i = 0; i < MESSAGES; i++) if (!call.write(frame(Buffer.alloc(SIZE, i)))) await call.drained();
        },
      },
      PublishAsync: {
        kind: 'duplex',
        handle: async (call) => {
          call.onMessages((payloads) => {
            for (const payload of payloads) call.write(frame(payload));
            return call.drained();
          });
          await call.received;
        },
      },
    });
  });
  afterAll(() => server.stop());

  test('can make every kind of call', async () => {
    const script = fileURLToPath(new URL('./grpcio_client.py', import.meta.url));
    const output = await outputOf('python3', [script, server.address]);
    expect(JSON.parse(output)).toEqual({
      unary: 'abc',
      large: 3_000_000,
      'too large': {
        code: 'RESOURCE_EXHAUSTED',
        details: 'grpc: received message larger than max (5000000 vs. 4194304)',
      },
      failing: { code: 'ALREADY_EXISTS', details: 'größer als 100%' },
      deadline: { code: 'DEADLINE_EXCEEDED', details: expect.any(String) },
      unknown: { code: 'UNIMPLEMENTED', details: 'unknown method Nope for service proto.API' },
      stream: MESSAGES * SIZE,
      duplex: true,
    });
    expect(deadlines).toBe(1);
  });
});
