import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { TestBroker } from 'liftbridge-test-broker';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Client, connect, type LiftbridgeError, type Metadata, partitionByKey } from '../../src/index.js';
import {
  type FetchMetadataRequest,
  FetchMetadataResponse,
  type PublishRequest,
  PublishResponse,
} from '../../src/protocol/generated/api.js';
import { Certificates } from '../support/certificates.js';
import { APIService } from '../support/grpc-js-api.js';
import { PATIENT } from '../support/patient.js';
import { StubServer } from '../support/stub-server.js';

let broker: TestBroker;
let client: Client;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await connect(broker.addresses, PATIENT);
  await client.createStream('orders', 'orders');
});

afterAll(async () => {
  await client.close();
  await broker.close();
});

/** A broker whose metadata contains no stream, and that accepts publishes to any stream. */
async function forgetfulBroker(): Promise<{ address: string; publishes: PublishRequest[]; stop(): void }> {
  const server = new Server();
  const publishes: PublishRequest[] = [];
  let port = 0;
  server.addService(APIService, {
    fetchMetadata: (_: ServerUnaryCall<FetchMetadataRequest, unknown>, reply: sendUnaryData<FetchMetadataResponse>) =>
      reply(null, FetchMetadataResponse.fromPartial({ brokers: [{ id: 'a', host: '127.0.0.1', port }] })),
    publishAsync: (call: ServerDuplexStream<PublishRequest, PublishResponse>) => {
      call.on('data', (request: PublishRequest) => {
        publishes.push(request);
        const { stream, correlationId } = request;
        call.write(PublishResponse.fromPartial({ ack: { stream, correlationId, offset: 7n }, correlationId }));
      });
      call.on('end', () => call.end());
    },
  } as never);
  port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return { address: `127.0.0.1:${port}`, publishes, stop: () => server.forceShutdown() };
}

describe('publish to a stream that is missing in the metadata', () => {
  it('is sent to a broker, which may know the stream', async () => {
    const forgetful = await forgetfulBroker();
    onTestFinished(() => forgetful.stop());
    await using other = await connect(forgetful.address, PATIENT);
    expect(await other.publish('hidden', 'x', { partition: 2 })).toMatchObject({ offset: 7n, stream: 'hidden' });
    expect(forgetful.publishes).toMatchObject([{ stream: 'hidden', partition: 2 }]);
    await expect(other.publish('hidden', 'x', { partitioner: partitionByKey })).rejects.toMatchObject({
      code: 'NO_SUCH_STREAM',
    });
    expect(forgetful.publishes).toHaveLength(1);
  });

  it("resolves with null with ackPolicy 'none', and reports a refusal as the event asyncError", async () => {
    const reported = once(client, 'asyncError');
    expect(await client.publish('nothing', 'x', { ackPolicy: 'none' })).toBeNull();
    const [error] = (await reported) as [LiftbridgeError];
    expect(error).toMatchObject({ code: 'NO_SUCH_STREAM', stream: 'nothing' });
  });

  it('rejects with NO_SUCH_STREAM otherwise', async () => {
    await expect(client.publish('nothing', 'x')).rejects.toMatchObject({ code: 'NO_SUCH_STREAM', stream: 'nothing' });
  });
});

describe('createStream', () => {
  it('counts a leader without FetchPartitionMetadata as ready', async () => {
    const stub = await StubServer.start();
    onTestFinished(() => stub.stop());
    stub.streams.set('new', { partitions: [{ leader: 'stub' }] });
    stub.on('fetchPartitionMetadata', () => ({ fail: 'UNIMPLEMENTED' }));
    await using other = await connect(stub.address, PATIENT);
    await expect(other.createStream('new', 'new')).resolves.toBe(true);
  });
});

describe("the event 'metadata'", () => {
  it('carries the new snapshot, to listeners and on its diagnostics channel', async () => {
    const heard: unknown[] = [];
    const listener = (message: unknown) => heard.push(message);
    channel('liftbridge:metadata').subscribe(listener);
    onTestFinished(() => void channel('liftbridge:metadata').unsubscribe(listener));
    const replaced = new Promise<Metadata>((resolve) => {
      client.once('metadata', (metadata) => {
        expect(metadata).toBe(client.metadata);
        resolve(metadata);
      });
    });
    await client.fetchMetadata();
    const metadata = await replaced;
    expect(metadata.streams.has('orders')).toBe(true);
    expect(heard).toContainEqual({ client, metadata });
  });
});

describe('the text of an error', () => {
  it('contains the advice once after a timeout, and the error of the last attempt', async () => {
    await using other = await connect(broker.addresses, { requestTimeout: 1_500 });
    broker.faults.rejectNext('DeleteStream', 'UNAVAILABLE', 'out to lunch', 1_000);
    const error = (await other.deleteStream('orders').catch((reason: unknown) => reason)) as LiftbridgeError;
    await broker.reset();
    expect(error.code).toBe('TIMEOUT');
    expect(error.message).toMatch(/no answer within 1500 ms; the last attempt failed: out to lunch \(UNAVAILABLE\)/);
    expect(error.message.match(/Raise the timeout/g)).toHaveLength(1);
  });

  it('comes from the client when a call reaches its deadline', async () => {
    const error = await client.publishToSubject('no.listener', 'x', { timeout: 100 }).catch((reason: Error) => reason);
    expect(error).toMatchObject({ code: 'ACK_TIMEOUT', message: expect.stringMatching(/no answer within \d+ ms/) });
    expect((error as Error).message).not.toMatch(/remote_addr/);
  });

  it('contains the reason of OpenSSL without its source location', async () => {
    const { ca } = await Certificates.create();
    const error = await connect(broker.addresses, { tls: { ca: ca.cert } }).catch((reason: Error) => reason);
    expect(error).toMatchObject({ code: 'CONNECTION', reason: 'tls-not-spoken' });
    expect((error as Error).message).toMatch(/\(wrong version number\)$/);
  });
});

describe('a message that a broker has stored', () => {
  it('has the shape of a message that a subscription delivers', async () => {
    await client.createStream('shape', 'shape');
    await client.publish('shape', '{"a":1}', { key: 'k', headers: { h: 'v' } });
    const [stored] = broker.messages('shape');
    const subscription = await client.subscribe('shape', { startAt: 'earliest' });
    for await (const { offset, time, timestamp, ackInbox, correlationId, ackPolicy } of subscription) {
      expect(stored).toMatchObject({ offset, time, timestamp, ackInbox, correlationId, ackPolicy });
      break;
    }
  });
});
