import { Server, ServerCredentials } from '@grpc/grpc-js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connect } from '../../src/index.js';
import { FetchMetadataResponse, type PartitionMetadata } from '../../src/protocol/generated/api.js';
import { APIService } from '../support/grpc-js-api.js';

const PARTITIONS = 10_000;

/** A server that encodes its FetchMetadata response in advance, so that serving it costs almost nothing. */
async function serve(answer: (port: number) => Buffer): Promise<{ port: number; stop(): void }> {
  const server = new Server();
  let bytes: Buffer = Buffer.alloc(0);
  const fetchMetadata = { ...APIService.fetchMetadata, responseSerialize: () => bytes };
  server.addService({ fetchMetadata }, {
    fetchMetadata: (_call: unknown, reply: (error: null, response: object) => void) => reply(null, {}),
  } as never);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  bytes = answer(port);
  return { port, stop: () => server.forceShutdown() };
}

function largeAnswer(port: number): Buffer {
  const partition = (id: number): PartitionMetadata => ({
    id,
    leader: 'a',
    replicas: ['a'],
    isr: ['a'],
    highWatermark: BigInt(id),
    newestOffset: BigInt(id),
    paused: false,
    readonly: false,
    messagesReceivedTimestamps: { firstTimestamp: 1n, latestTimestamp: 1_700_000_000_000_000_000n },
    pauseTimestamps: { firstTimestamp: 0n, latestTimestamp: 0n },
    readonlyTimestamps: { firstTimestamp: 0n, latestTimestamp: 0n },
  });
  const streamMetadata = Array.from({ length: 100 }, (_, stream) => ({
    name: `stream-${stream}`,
    subject: `subject-${stream}`,
    error: 0 as const,
    creationTimestamp: 1n,
    partitions: new Map(Array.from({ length: PARTITIONS / 100 }, (_, id) => [id, partition(id)])),
  }));
  const brokers = [{ id: 'a', host: '127.0.0.1', port, leaderCount: 0, partitionCount: 0 }];
  return Buffer.from(FetchMetadataResponse.encode({ brokers, streamMetadata, groupMetadata: [] }).finish());
}

describe('fetchMetadata of a large cluster', () => {
  it('loads 10,000 partitions', async () => {
    const server = await serve(largeAnswer);
    onTestFinished(() => server.stop());
    await using client = await connect(`127.0.0.1:${server.port}`);
    const { streams } = await client.fetchMetadata();
    expect([...streams.values()].reduce((sum, { partitions }) => sum + partitions.size, 0)).toBe(PARTITIONS);
  });
});
