import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { wire } from 'liftbridge-client/protocol';
import { TestBroker } from 'liftbridge-test-broker';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { APIClient } from '../support/grpc-js-api.js';

const { EARLIEST } = wire.StartPosition;
const MESSAGES = 3_000;
// Far longer than a test takes: only the broker's clock gets there.
const HOUR = 3_600_000;

/** The outcome of a unary call in the callback style of grpc-js. */
function outcome<T>(call: (done: (error: ServiceError | null, answer: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => call((error, answer) => (error ? reject(error) : resolve(answer))));
}

const request = (value: string, more: Partial<wire.PublishRequest> = {}): wire.PublishRequest =>
  wire.PublishRequest.fromPartial({ stream: 'bare', value: Buffer.from(value), expectedOffset: -1n, ...more });

describe('a bare grpc-js client with generated code', () => {
  let broker: TestBroker;
  let client: APIClient;

  beforeAll(async () => {
    broker = await TestBroker.start();
    client = new APIClient(broker.addresses[0]!, credentials.createInsecure());
  });
  afterAll(async () => {
    client.close();
    await broker.close();
  });
  beforeEach(async () => {
    await broker.reset();
    await createStream('bare');
  });

  function createStream(name: string, more: Partial<wire.CreateStreamRequest> = {}): Promise<unknown> {
    const create = wire.CreateStreamRequest.fromPartial({ name, subject: `${name}.subject`, partitions: 1, ...more });
    return outcome((done) => client.createStream(create, done));
  }

  function publish(publishing: wire.PublishRequest, timeout = HOUR): Promise<wire.PublishResponse> {
    return outcome((done) => client.publish(publishing, new Metadata(), { deadline: Date.now() + timeout }, done));
  }

  it('publishes and is acknowledged', async () => {
    const { ack } = await publish(request('hello', { correlationId: 'mine' }));
    expect(ack).toMatchObject({ stream: 'bare', msgSubject: 'bare.subject', offset: 0n, correlationId: 'mine' });
  });

  it('is refused with the status and the text of the server', async () => {
    await expect(createStream('bare')).rejects.toMatchObject({
      code: status.ALREADY_EXISTS,
      details: 'stream already exists',
    });
    await expect(publish(request('x', { partition: 7 }))).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  it('sees the brokers and the partitions in the metadata', async () => {
    await publish(request('one'));
    const asked = wire.FetchMetadataRequest.fromPartial({ streams: ['bare'] });
    const metadata = await outcome<wire.FetchMetadataResponse>((done) => client.fetchMetadata(asked, done));
    expect(metadata.brokers.map(({ host, port }) => `${host}:${port}`)).toEqual(broker.addresses);
    expect(metadata.streamMetadata[0]!.partitions.get(0)).toMatchObject({ leader: metadata.brokers[0]!.id });
  });

  it('receives first the confirmation of its subscription, and then every message in order', async () => {
    for (const value of ['a', 'b', 'c']) await publish(request(value, { key: Buffer.from('k') }));
    const call = client.subscribe(wire.SubscribeRequest.fromPartial({ stream: 'bare', startPosition: EARLIEST }));
    call.on('error', () => {});
    const seen: string[] = [];
    for await (const message of call as AsyncIterable<wire.Message>) {
      seen.push(`${message.stream} ${message.value} ${message.offset}`);
      if (seen.length === 4) break;
    }
    call.cancel();
    expect(seen).toEqual(['  0', 'bare a 0', 'bare b 1', 'bare c 2']);
  });

  it('may cancel a subscription, which the broker notices', async () => {
    const call = client.subscribe(wire.SubscribeRequest.fromPartial({ stream: 'bare', startPosition: EARLIEST }));
    const failed = new Promise<ServiceError>((resolve) => call.on('error', resolve));
    await new Promise((resolve) => call.once('data', resolve));
    expect(broker.openSubscriptions).toEqual([1]);
    call.cancel();
    expect(await failed).toMatchObject({ code: status.CANCELLED });
    await expect.poll(() => broker.openSubscriptions).toEqual([0]);
  });

  it('pipelines through PublishAsync and gets acks in order, then a clean end', async () => {
    const call = client.publishAsync();
    const offsets: bigint[] = [];
    const ended = new Promise((resolve, reject) => {
      call.on('error', reject);
      call.on('status', resolve);
    });
    call.on('data', ({ ack }: wire.PublishResponse) => offsets.push(ack!.offset));
    for (let n = 0; n < MESSAGES; n++) call.write(request(String(n), { correlationId: String(n) }));
    call.end();
    expect(await ended).toMatchObject({ code: status.OK });
    expect(offsets).toEqual(Array.from({ length: MESSAGES }, (_, n) => BigInt(n)));
    expect(broker.messages('bare')).toHaveLength(MESSAGES);
  });

  it('learns on a PublishAsync stream which publish was rejected, and the stream stays open', async () => {
    const call = client.publishAsync();
    const answers: wire.PublishResponse[] = [];
    const ended = new Promise((resolve) => call.on('status', resolve));
    call.on('data', (answer: wire.PublishResponse) => answers.push(answer));
    call.write(request('x', { stream: 'nothing', correlationId: 'refused' }));
    call.write(request('y', { correlationId: 'taken' }));
    call.end();
    await ended;
    expect(answers.map(({ correlationId, asyncError }) => [correlationId, asyncError?.code])).toEqual([
      ['refused', wire.PublishAsyncError_Code.NOT_FOUND],
      ['taken', undefined],
    ]);
  });

  it('reaches its deadline while the ack is lost, though the message is stored', async () => {
    broker.faults.dropAcks(1);
    const stored = () => broker.messages('bare').map(({ value }) => String(value));
    const failed = expect(publish(request('lost'))).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await expect.poll(stored).toEqual(['lost']);
    await broker.clock.advance(HOUR);
    await failed;
  });

  it('may cancel a publish that waits for its ack', async () => {
    broker.faults.delayAcks(2 * HOUR);
    const deadline = Date.now() + HOUR;
    const waiting = outcome<wire.PublishResponse>((done) => {
      const call = client.publish(request('late'), new Metadata(), { deadline }, done);
      void expect
        .poll(() => broker.messages('bare'))
        .toHaveLength(1)
        .then(() => call.cancel());
    });
    await expect(waiting).rejects.toMatchObject({ code: status.CANCELLED });
  });

  it('receives an error for a message above the size limit of the server', async () => {
    await expect(publish(request('x'.repeat(5_000_000)))).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    await expect(publish(request('small'))).resolves.toMatchObject({ ack: { offset: 0n } });
  });
});
