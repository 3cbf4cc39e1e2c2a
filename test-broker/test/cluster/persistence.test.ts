import { once } from 'node:events';
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startProcess } from '../../../test/support/child-process.js';
import { closing } from '../../../test/support/closing.js';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import { TestBroker } from '../../src/index.js';
import { type Answer, ApiClient, eventually } from './clients.js';
import { known, running } from './running.js';

const SERVE = fileURLToPath(new URL('serve-until-killed.ts', import.meta.url));

/** Publishes without a pause on one stream of acks until the connection breaks; returns the acknowledged messages. */
function publishUntilCut(
  client: ApiClient,
  stream: string,
): { readonly acked: Map<number, string>; ended: Promise<void> } {
  const acked = new Map<number, string>();
  const call = client.publishAsync();
  let count = 0;
  const send = () => {
    const value = `${stream} ${count++}`;
    call.write({ stream, value: Buffer.from(value), correlationId: value, ackPolicy: count % 2 ? 'LEADER' : 'ALL' });
  };
  call.on('data', ({ ack, correlationId }: Answer) => {
    acked.set(ack.offset, correlationId);
    send();
  });
  const ended = new Promise<void>((resolve) => {
    call.on('error', () => resolve());
  });
  for (let i = 0; i < 50; i++) send();
  return { acked, ended };
}

describe('a broker with a dataDir', () => {
  it('restarts with its streams, messages, groups and cursors', async () => {
    const dataDir = temporaryDirectory();
    const options = { dataDir, cursorsPartitions: 2, activityStream: true };
    const first = await running(options);
    await first.client.createStream('s', { partitions: 2, subject: 'some.subject' });
    for (const value of ['a', 'b', 'c']) await first.client.publish('s', value, { headers: { h: Buffer.from(value) } });
    await first.client.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c1', streams: ['s'] });
    await first.client.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c2', streams: ['s'] });
    await first.client.call('setCursor', { stream: 's', cursorId: 'c', offset: 2 });
    const before = await first.client.call('fetchMetadata', { streams: ['s'], groups: ['g'] });
    await first.broker.close();
    const { client, broker } = await running(options);
    await broker.ready();
    const after = await client.call('fetchMetadata', { streams: ['s'], groups: ['g'] });
    expect(after.groupMetadata).toEqual(before.groupMetadata);
    expect(after.streamMetadata[0]).toMatchObject({
      subject: 'some.subject',
      creationTimestamp: before.streamMetadata[0].creationTimestamp,
    });
    expect(broker.messages('s', 0).map((message) => [message.text(), message.headers.h?.toString()])).toEqual([
      ['a', 'a'],
      ['b', 'b'],
      ['c', 'c'],
    ]);
    expect((await client.call('fetchCursor', { stream: 's', cursorId: 'c' })).offset).toBe(2);
    expect((await client.publish('s', 'd')).offset).toBe(3);
    await expect(client.createStream('s')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('keeps the paused and readonly states with the time of the restart, but not the times of messages', async () => {
    const dataDir = temporaryDirectory();
    const first = await running({ dataDir });
    await first.client.createStream('s', { partitions: 2 });
    await first.client.publish('s', 'x');
    await first.client.call('setStreamReadonly', { name: 's', partitions: [0], readonly: true });
    await first.client.call('pauseStream', { name: 's', partitions: [1], resumeAll: false });
    const { messagesReceivedTimestamps, readonlyTimestamps } = await first.client.partition('s');
    expect(messagesReceivedTimestamps.firstTimestamp).toBeGreaterThan(0);
    await first.broker.close();
    const { broker, client } = await running({ dataDir });
    await broker.ready();
    const partition = await client.partition('s');
    expect(partition).toMatchObject({ readonly: true, messagesReceivedTimestamps: { firstTimestamp: 0 } });
    expect(partition.readonlyTimestamps.firstTimestamp).toBeGreaterThan(readonlyTimestamps.firstTimestamp);
    await expect(client.publish('s', 'y')).rejects.toMatchObject({ details: 'readonly partition: 0' });
    await expect(client.partition('s', 1)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect((await client.publish('s', 'y', { partition: 1 })).offset).toBe(0);
  });

  it('begins a stream that was deleted and recreated at offset 0', async () => {
    const dataDir = temporaryDirectory();
    const first = await running({ dataDir });
    for (const value of ['old', 'new']) {
      await first.client.createStream('s');
      await first.client.publish('s', value);
      if (value === 'old') await first.client.call('deleteStream', { name: 's' });
    }
    await first.broker.close();
    const { broker } = await running({ dataDir });
    expect(broker.messages('s').map((message) => [message.offset, message.text()])).toEqual([[0n, 'new']]);
  });

  it('restores a whole cluster', async () => {
    const dataDir = temporaryDirectory();
    const first = await running({ dataDir, brokers: 3 });
    await first.client.createStream('s', { replicationFactor: 3 });
    await first.client.publish('s', 'a', { ackPolicy: 'ALL' });
    await first.broker.moveLeader('s', 0, 2);
    await first.broker.close();
    const { broker, clients } = await running({ dataDir, brokers: 3 });
    await broker.ready();
    expect(broker.leaderOf('s')).toBe(2);
    expect((await clients[1]!.publish('s', 'b', { ackPolicy: 'ALL' })).offset).toBe(1);
    await broker.moveLeader('s', 0, 0);
    expect(broker.messages('s').map((message) => message.text())).toEqual(['a', 'b']);
  });

  it('rejects the data of more brokers than it starts', async () => {
    const dataDir = temporaryDirectory();
    await (await TestBroker.start({ dataDir, brokers: 2 })).close();
    await expect(TestBroker.start({ dataDir })).rejects.toThrow('was written by 2 brokers, got brokers: 1');
  });

  it('does not start on a damaged list of brokers, and reports the file', async () => {
    const dataDir = temporaryDirectory();
    await (await TestBroker.start({ dataDir })).close();
    writeFileSync(join(dataDir, 'cluster.json'), '{"brok');
    await expect(TestBroker.start({ dataDir })).rejects.toThrow(/^cannot read ".*cluster\.json": .*JSON/);
  });

  it('locks the directory', async () => {
    const dataDir = temporaryDirectory();
    await running({ dataDir });
    await expect(TestBroker.start({ dataDir })).rejects.toMatchObject({
      name: 'BrokerOptionError',
      message: expect.stringContaining(`is in use by process ${process.pid}`),
    });
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    await expect(TestBroker.start({ dataDir: file })).rejects.toThrow('cannot use dataDir');
  });

  it('cuts off an incomplete operation, with a warning', async () => {
    const dataDir = temporaryDirectory();
    const first = await running({ dataDir });
    await first.client.createStream('whole');
    await first.client.createStream('torn');
    await first.broker.close();
    const file = join(dataDir, 'operations.log');
    const { length } = readFileSync(file);
    truncateSync(file, length - 7);
    const warnings: string[] = [];
    const listen = (warning: Error) => warnings.push(warning.message);
    process.on('warning', listen);
    closing({ close: () => process.off('warning', listen) });
    const second = await running({ dataDir });
    await second.broker.ready();
    await eventually(
      () => warnings.length,
      (count) => count > 0,
    );
    expect(warnings[0]).toContain('they are not a complete operation');
    const names = (await second.client.call('fetchMetadata')).streamMetadata.map(({ name }: Answer) => name);
    expect(names).toEqual(['__cursors', 'whole']);
    await second.client.createStream('torn');
    await second.broker.close();
    appendFileSync(file, '00000000 {"index":');
    const { broker, client } = await running({ dataDir });
    await broker.ready();
    expect((await client.call('fetchMetadata')).streamMetadata).toHaveLength(3);
  });
});

describe('a broker that is killed under load', () => {
  it.each([1, 3])('has lost nothing that was acknowledged (brokers: %i)', async (brokers) => {
    const dataDir = temporaryDirectory();
    const child = startProcess(process.execPath, ['--import', 'tsx', SERVE, dataDir, String(brokers)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const [addresses] = (await once(child, 'message')) as [string[]];
    const clients = addresses.map((address) => closing(new ApiClient(address)));
    const streams = ['s0', 's1', 's2'];
    for (const name of streams) await clients[0]!.createStream(name, { replicationFactor: brokers });
    for (const name of streams) await known(name, clients);
    const publishers = streams.map((stream, i) => publishUntilCut(clients[i % brokers]!, stream));
    const created: string[] = [];
    const creating = (async () => {
      for (let i = 0; ; i++) {
        await clients[0]!.createStream(`t${i}`);
        created.push(`t${i}`);
      }
    })().catch(() => {});
    await eventually(
      () => created.length > 10 && publishers.every(({ acked }) => acked.size > 200),
      (enough) => enough,
    );
    child.kill('SIGKILL');
    await Promise.all([creating, once(child, 'exit'), ...publishers.map(({ ended }) => ended)]);
    const { broker } = await running({ dataDir, brokers });
    for (const name of created) expect(broker.leaderOf(name)).toBeGreaterThanOrEqual(0);
    for (const [i, stream] of streams.entries()) {
      const stored = new Map(broker.messages(stream).map((message) => [Number(message.offset), message.text()]));
      const lost = [...publishers[i]!.acked].filter(([offset, value]) => stored.get(offset) !== value);
      expect(lost).toEqual([]);
    }
  });
});
