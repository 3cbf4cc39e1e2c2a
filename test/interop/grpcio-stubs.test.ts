import { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';
import { pythonHas, runPython } from './python.js';

const HAS_STUBS = pythonHas('gufo.liftbridge.api_pb2_grpc');

describe.skipIf(!HAS_STUBS)('the Python stubs of protoc (skipped without python3 and gufo-liftbridge)', () => {
  it('are served in every RPC, with the statuses and texts of the server', async () => {
    await using broker = await TestBroker.start({ cursorsPartitions: 1 });
    expect(await runPython('grpcio_stubs.py', broker.addresses[0]!)).toEqual({
      exists: ['ALREADY_EXISTS', 'stream already exists'],
      publish: ['raw', 0, true],
      'to subject': ['raw', 1],
      async: { good: ['OK', 2], bad: ['NOT_FOUND', 0], end: [0, 'OK'] },
      subscribe: { 'first is empty': true, values: ['a', 'b', 'c'], cancelled: 'CANCELLED' },
      group: { coordinator: expect.any(String), assigned: [['raw', [0]]] },
      cursor: 7,
      metadata: [true],
      partition: [2, 2],
      readonly: ['FAILED_PRECONDITION', 'readonly partition: 0'],
      paused: true,
      compressed: 'UNIMPLEMENTED',
      deadline: 'DEADLINE_EXCEEDED',
      deleted: ['NOT_FOUND', 'no such stream: raw'],
    });
  });
});
