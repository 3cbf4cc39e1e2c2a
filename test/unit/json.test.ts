import assert from 'node:assert';
import { inspect } from 'node:util';
import { toAck, wire } from 'liftbridge-client/protocol';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { decodeActivity } from '../../src/admin/activity.js';
import {
  type BrokerInfo,
  jsonableGroup,
  jsonablePartition,
  metadataOf,
  type PartitionInfo,
} from '../../src/cluster/metadata.js';
import { lagOf } from '../../src/consumer/partitions/lag.js';
import { AckTimeoutError, ConnectionError, type LiftbridgeError } from '../../src/errors.js';
import type { Ack, ActivityEvent, GroupInfo, Json, Message, Metadata, PartitionLag } from '../../src/index.js';
import { jsonable } from '../../src/protocol/json.js';

const through = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const ack = (): Ack =>
  toAck({
    ...{
      stream: 'orders',
      partitionSubject: 'o',
      msgSubject: 'o',
      offset: 2n ** 60n,
      ackInbox: '',
      correlationId: 'c',
    },
    ...{ ackPolicy: 0, receptionTimestamp: 5n, commitTimestamp: 6n, ackError: 0 },
  });

const broker: BrokerInfo = jsonable({
  ...{ id: 'b1', host: 'one', port: 9292, address: 'one:9292', leaderCount: 1, partitionCount: 1 },
});
const partition: PartitionInfo = jsonablePartition({
  ...{ id: 0, leader: broker, replicas: [broker], isr: [broker], highWatermark: 3n, newestOffset: 4n },
  ...{ paused: false, readonly: false, messagesReceived: { first: new Date(0), latest: null } },
  ...{ pauses: { first: null, latest: null }, readonlyChanges: { first: null, latest: null } },
});
const group: GroupInfo = jsonableGroup({ id: 'g', coordinator: broker, epoch: 7n });
const never = { first: null, latest: null };
const partitionJson = {
  ...{ id: 0, leader: 'b1', replicas: ['b1'], isr: ['b1'], highWatermark: '3', newestOffset: '4' },
  ...{ paused: false, readonly: false, messagesReceived: { first: '1970-01-01T00:00:00.000Z', latest: null } },
  ...{ pauses: never, readonlyChanges: never },
};

describe('JSON of an ack', () => {
  it('has every field, offsets and times as decimal text', () => {
    expect(through(ack())).toEqual({
      ...{ stream: 'orders', partition: 0, partitionSubject: 'o', messageSubject: 'o', offset: '1152921504606846976' },
      ...{ ackInbox: '', correlationId: 'c', ackPolicy: 'leader', receptionTimestamp: '5', commitTimestamp: '6' },
      error: 'ok',
    });
  });

  it('leaves the ack a plain object to Object.keys, inspect, spread and toStrictEqual', () => {
    const fields = { ...ack() };
    expect(Object.keys(ack())).toEqual(Object.keys(fields));
    expect(Object.keys(fields)).not.toContain('toJSON');
    expect(ack()).toStrictEqual(fields);
    assert.deepEqual(ack(), fields);
    expect(inspect(ack())).toBe(inspect(fields));
  });
});

describe('JSON of metadata', () => {
  const streams = new Map([
    [
      'orders',
      jsonable({
        name: 'orders',
        subject: 'o',
        createdAt: new Date(1),
        partitions: jsonable(new Map([[0, partition]])),
      }),
    ],
  ]);
  const metadata = metadataOf({
    updatedAt: new Date(2),
    brokers: new Map([['b1', broker]]),
    streams,
    groups: new Map([['g', group]]),
  });

  it('writes maps as objects and the brokers of partitions and groups as ids', () => {
    const orders = { name: 'orders', subject: 'o', createdAt: '1970-01-01T00:00:00.001Z' };
    expect(through(metadata)).toEqual({
      updatedAt: '1970-01-01T00:00:00.002Z',
      brokers: { b1: { ...broker } },
      streams: { orders: { ...orders, partitions: { 0: partitionJson } } },
      groups: { g: { id: 'g', coordinator: 'b1', epoch: '7' } },
    });
  });

  it('is the same for each part alone', () => {
    expect(through(partition)).toEqual(partitionJson);
    expect(through(metadata.groups)).toEqual({ g: { id: 'g', coordinator: 'b1', epoch: '7' } });
    expect(through(metadata.streams.get('orders')?.partitions)).toEqual({ 0: partitionJson });
  });

  it('keeps maps readable for inspect, and accepts any name as a key', () => {
    const map = jsonable(new Map([['__proto__', 1n]]));
    expect(inspect(map)).toBe("Map(1) { '__proto__' => 1n }");
    expect(JSON.stringify(map)).toBe('{"__proto__":"1"}');
    expect(map).toStrictEqual(new Map([['__proto__', 1n]]));
  });
});

describe('JSON of an activity event', () => {
  it('has its id and offset as text and its time as ISO 8601', () => {
    const value = wire.ActivityStreamEvent.encode(
      wire.ActivityStreamEvent.fromPartial({ id: 9n, op: 1, deleteStreamOp: { stream: 'orders' } }),
    ).finish();
    expect(through(decodeActivity({ value, offset: 3n, time: new Date(0) }))).toEqual({
      ...{ id: '9', offset: '3', time: '1970-01-01T00:00:00.000Z', op: 'delete-stream', stream: 'orders' },
    });
  });
});

describe('JSON of lag', () => {
  it('has positions as text', async () => {
    const cluster = { callLeader: async () => ({ metadata: { highWatermark: 9n } }) };
    const [lag] = await lagOf(cluster as never, [{ stream: 's', partition: 1, position: 4n }] as never, {});
    expect(through(lag)).toEqual({ stream: 's', partition: 1, position: '4', highWatermark: '9', lag: '6' });
  });
});

describe('JSON of an error', () => {
  it('has name, code, message, context and the text of its cause, and no stack', () => {
    const error = new ConnectionError('no answer', {
      ...{ reason: 'lost', stream: 's', partition: 2, offset: 8n, broker: 'b1', operation: 'Publish' },
      cause: new Error('socket hang up'),
    });
    expect(through(error)).toEqual({
      ...{ name: 'ConnectionError', code: 'CONNECTION', message: 'no answer', retryable: true, reason: 'lost' },
      ...{ outcome: 'unknown', stream: 's', partition: 2, offset: '8', broker: 'b1', operation: 'Publish' },
      cause: 'socket hang up',
    });
  });

  it('has the acks of other streams as acks', () => {
    const error = new AckTimeoutError('late', { otherAcks: [ack()] });
    expect(through(error)).toMatchObject({ otherAcks: [{ offset: '1152921504606846976' }] });
  });

  it('shows name, code and message of an error of others that an event carries', () => {
    const cause = Object.assign(new Error('gone'), { code: 'ECONNRESET' });
    expect(through(jsonable({ error: cause }))).toEqual({
      error: { name: 'Error', code: 'ECONNRESET', message: 'gone' },
    });
  });
});

describe('Json<T>', () => {
  it('is the type of the result', () => {
    expectTypeOf<Json<Ack>['offset']>().toEqualTypeOf<string>();
    expectTypeOf<Json<Ack>['ackPolicy']>().toEqualTypeOf<'leader' | 'all' | 'none'>();
    expectTypeOf<Json<PartitionInfo>['leader']>().toEqualTypeOf<string | null>();
    expectTypeOf<Json<PartitionInfo>['isr']>().toEqualTypeOf<string[]>();
    expectTypeOf<Json<Metadata>['brokers'][string]['port']>().toEqualTypeOf<number>();
    expectTypeOf<Json<Metadata>['streams'][string]['partitions'][string]['newestOffset']>().toEqualTypeOf<string>();
    expectTypeOf<Json<PartitionLag>['lag']>().toEqualTypeOf<string>();
    expectTypeOf<Json<ActivityEvent>['time']>().toEqualTypeOf<string>();
    expectTypeOf<Json<Message>['key']>().toEqualTypeOf<string | null>();
    expectTypeOf<Json<Message>['headers'][string]>().toEqualTypeOf<string>();
    expectTypeOf<keyof Json<Message>>().toEqualTypeOf<Exclude<keyof Message, 'text' | 'json' | 'toObject'>>();
    expectTypeOf<Json<LiftbridgeError>['cause']>().toEqualTypeOf<string | undefined>();
    expectTypeOf<keyof Json<LiftbridgeError>>().toEqualTypeOf<Exclude<keyof LiftbridgeError, 'stack' | 'toJSON'>>();
  });
});
