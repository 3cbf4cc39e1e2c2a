import { wire } from 'liftbridge-client/protocol';
import type { TestBroker } from 'liftbridge-test-broker';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { names, shareBroker } from '../broker-fixture.js';
import type { ApiClient } from './api-client.js';

const { LEADER, ALL, NONE } = wire.AckPolicy;
const EMPTY_ACK = wire.Ack.create();
const OK = { status: 'OK', message: '' };

let broker: TestBroker;
let api: ApiClient;
let stream = '';
const fresh = names('async');

beforeAll(async () => {
  ({ broker, api } = await shareBroker());
});
beforeEach(async () => {
  stream = fresh();
  await api.createStream(stream);
});

describe('PublishAsync', () => {
  it('responds to messages with an ack policy, by correlation id, and not to others', async () => {
    const publishing = api.publishAsync();
    publishing.send({ stream, correlationId: 'leader', ackPolicy: LEADER, ackInbox: 'ignored' });
    publishing.send({ stream, correlationId: 'none', ackPolicy: NONE });
    publishing.send({ stream, correlationId: 'all', ackPolicy: ALL });
    publishing.halfClose();
    const { messages, end } = await publishing.all();
    expect(messages.map(({ correlationId, ack }) => [correlationId, ack!.offset])).toEqual([
      ['leader', 0n],
      ['all', 2n],
    ]);
    for (const { ack, asyncError } of messages) {
      expect(asyncError).toBeUndefined();
      expect(ack!.ackInbox).toMatch(/^liftbridge-default\.ack\.[0-9A-Za-z]{22}$/);
    }
    expect(end).toEqual(OK);
  });

  it('responds to errors with an empty ack, and keeps the stream open', async () => {
    await api.createStream(`${stream}-occ`, { optimisticConcurrencyControl: { value: true } });
    const publishing = api.publishAsync();
    const cases: [Partial<wire.PublishRequest>, number, string][] = [
      [{ stream: 'nope' }, 2, 'no such stream: nope'],
      [{ stream: '' }, 2, 'no such stream: '],
      [{ stream, partition: 9 }, 2, 'no such partition: 9'],
      [{ stream: `${stream}-occ`, ackPolicy: NONE }, 1, 'stream with concurrency control must have AckPolicy set'],
      [{ stream: `${stream}-occ`, expectedOffset: 7n }, 5, 'incorrect expected offset'],
      [{ stream, value: Buffer.alloc(1_100_000) }, 3, 'failed to publish to NATS: nats: maximum payload exceeded'],
    ];
    for (const [request, code, message] of cases) {
      publishing.send({ ...request, correlationId: message });
      expect(await publishing.next()).toEqual({
        ack: EMPTY_ACK,
        asyncError: { code, message },
        correlationId: message,
      });
    }
    publishing.send({ stream, correlationId: 'fine' });
    expect(await publishing.next()).toMatchObject({ correlationId: 'fine', ack: { offset: 0n } });
    publishing.cancel();
  });

  it('responds once for each stream that stores the message', async () => {
    await api.createStream(`${stream}-too`, { subject: stream });
    const publishing = api.publishAsync();
    publishing.send({ stream, correlationId: 'c' });
    const answers = await publishing.take(2);
    expect(answers.map(({ ack }) => ack!.stream).sort()).toEqual([stream, `${stream}-too`]);
    expect(answers.map(({ correlationId }) => correlationId)).toEqual(['c', 'c']);
    publishing.cancel();
  });

  it('stays open when the stream that it publishes to is deleted', async () => {
    const publishing = api.publishAsync();
    publishing.send({ stream });
    await publishing.next();
    await api.call('DeleteStream', { name: stream });
    publishing.send({ stream });
    expect(await publishing.next()).toMatchObject({ asyncError: { code: 2 } });
    await api.createStream(stream);
    publishing.send({ stream });
    expect(await publishing.next()).toMatchObject({ ack: { stream, offset: 0n } });
    publishing.cancel();
  });

  it('ends at once when it is half-closed with nothing in flight', async () => {
    const publishing = api.publishAsync();
    publishing.halfClose();
    expect(await publishing.end()).toEqual(OK);
  });

  it.each([
    ['a message that is never acknowledged', { ackPolicy: ALL }, 0],
    ['a message that NATS rejected', { value: Buffer.alloc(1_100_000) }, 1],
  ])('waits five seconds after the half-close for %s', async (_, request, answers) => {
    await api.createStream(`${stream}-isr`, { minIsr: { value: 2 } });
    const publishing = api.publishAsync();
    publishing.send({ stream: `${stream}-isr`, ...request });
    // A later message is acknowledged, so everything before it was handled.
    publishing.send({ stream: `${stream}`, correlationId: 'behind' });
    await publishing.take(1 + answers);
    publishing.halfClose();
    // One connection serves both calls, so the response arrives after the half-close.
    await api.call('FetchMetadata', {});
    await broker.clock.advance(2_000);
    expect(publishing.ended).toBe(false);
    await broker.clock.advance(3_000);
    expect(await publishing.end()).toEqual(OK);
  });

  it('ends with INTERNAL when a message cannot be read', async () => {
    const end = await api.rawStream('PublishAsync', Buffer.from('1a02c328', 'hex'));
    expect(end).toEqual({
      status: 'INTERNAL',
      message: 'grpc: failed to unmarshal the received message: string field contains invalid UTF-8',
    });
  });

  it('keeps the order of a partition for thousands of messages at once', async () => {
    const publishing = api.publishAsync();
    const total = 2_000;
    for (let i = 0; i < total; i++) publishing.send({ stream, correlationId: `${i}` });
    const answers = await publishing.take(total);
    expect(answers.every(({ correlationId, ack }, i) => correlationId === `${i}` && ack!.offset === BigInt(i))).toBe(
      true,
    );
    publishing.cancel();
  });
});
