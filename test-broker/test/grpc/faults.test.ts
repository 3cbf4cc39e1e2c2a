import * as grpc from '@grpc/grpc-js';
import { frame } from 'liftbridge-client/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { turns } from '../../../test/support/turns.js';
import { Faults } from '../../src/faults.js';
import type { GrpcServer } from '../../src/grpc/server.js';
import type { Method } from '../../src/grpc/service.js';
import { BrokerOptionError } from '../../src/settings.js';
import {
  collect,
  connectRaw,
  echoMetadata,
  echoPublishes,
  foreignClient,
  openRaw,
  raw,
  startServer,
  unary,
} from './fixture.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const tick: Method = {
  kind: 'server-stream',
  handle: async (_payload, call) => {
    call.write(frame(Buffer.alloc(0)));
    call.write(Buffer.concat([frame(Buffer.alloc(100, 1)), frame(Buffer.alloc(100, 2))]));
    await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
  },
};

async function serve(brokerIndex = 0, faults = new Faults()): Promise<{ server: GrpcServer; faults: Faults }> {
  const methods = { FetchMetadata: echoMetadata, PublishAsync: echoPublishes, Subscribe: tick };
  const server = await startServer(methods, { faults, brokerIndex });
  cleanups.push(() => server.stop());
  return { server, faults };
}

// biome-ignore lint/suspicious/noExplicitAny: a client that is created at run time has no types
function client(server: GrpcServer): any {
  const made = foreignClient(server.address);
  cleanups.push(() => made.close());
  return made;
}

async function rawClient(server: GrpcServer) {
  const session = await connectRaw(server.address);
  session.on('error', () => {});
  cleanups.push(() => session.destroy());
  return session;
}

describe('rejectNext', () => {
  test('fails the given number of calls of the RPC, and no others', async () => {
    const { server, faults } = await serve();
    faults.rejectNext('FetchMetadata', 'UNAVAILABLE', 'try again', 2);
    faults.rejectNext('FetchMetadata', 13);
    const foreign = client(server);
    const statuses: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const failed = await unary(foreign, 'FetchMetadata', {}).then(
        () => null,
        (error) => [error.code, error.details],
      );
      statuses.push(failed);
    }
    expect(statuses).toEqual([
      [grpc.status.UNAVAILABLE, 'try again'],
      [grpc.status.UNAVAILABLE, 'try again'],
      [grpc.status.INTERNAL, 'injected fault'],
      null,
    ]);
    expect(faults.pending).toBe(0);
  });

  test('fails the next message of a publish stream that is already open', async () => {
    const { server, faults } = await serve();
    const stream = openRaw(await rawClient(server), '/proto.API/PublishAsync');
    const answer = collect(stream);
    stream.write(frame(Buffer.alloc(0)));
    await new Promise((resolve) => stream.once('data', resolve));
    faults.rejectNext('PublishAsync', 'RESOURCE_EXHAUSTED', 'quota');
    stream.write(frame(Buffer.alloc(0)));
    const { messages, trailers } = await answer;
    expect(messages).toHaveLength(1);
    expect(trailers).toMatchObject({ 'grpc-status': '8', 'grpc-message': 'quota' });
  });

  test('fails calls of the given broker only', async () => {
    const faults = new Faults();
    const first = await serve(0, faults);
    const second = await serve(1, faults);
    faults.rejectNext('FetchMetadata', 'ABORTED', 'not here', 1, { broker: 1 });
    await expect(unary(client(first.server), 'FetchMetadata', {})).resolves.toBeTruthy();
    await expect(unary(client(second.server), 'FetchMetadata', {})).rejects.toMatchObject({ details: 'not here' });
  });

  test.each([
    [['Publich', 'INTERNAL'], 'unknown RPC "Publich"; did you mean "Publish"?'],
    [['Publish', 'OK'], 'expected code to be a gRPC status other than OK'],
    [['Publish', 'NOPE'], 'expected code to be a gRPC status other than OK'],
    [['Publish', 'INTERNAL', 'text', 0], 'expected times to be an integer of at least 1, got 0 (number)'],
  ])('rejects %j', (args, message) => {
    const faults = new Faults();
    const reject = () => (faults.rejectNext as (...args: unknown[]) => void)(...args);
    expect(reject).toThrow(message);
    expect(reject).toThrow(BrokerOptionError);
  });
});

describe('resetNext', () => {
  test('resets the stream with the given code', async () => {
    const { server, faults } = await serve();
    faults.resetNext('FetchMetadata', 'REFUSED_STREAM');
    faults.resetNext('FetchMetadata', 'CANCEL');
    const session = await rawClient(server);
    await expect(raw(session, '/proto.API/FetchMetadata', frame(Buffer.alloc(0)))).rejects.toThrow('REFUSED_STREAM');
    const { rstCode, headers } = await raw(session, '/proto.API/FetchMetadata', frame(Buffer.alloc(0)));
    expect([rstCode, headers]).toEqual([8, {}]);
    expect((await raw(session, '/proto.API/FetchMetadata', frame(Buffer.alloc(0)))).trailers['grpc-status']).toBe('0');
    expect(server.openCalls()).toBe(0);
  });
});

describe('cutMidFrame', () => {
  test('sends whole messages and half of the last, then cuts the connection', async () => {
    const { server, faults } = await serve();
    faults.cutMidFrame('Subscribe');
    const session = await rawClient(server);
    const stream = openRaw(session, '/proto.API/Subscribe');
    stream.on('error', () => {});
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    const closed = new Promise((resolve) => session.once('close', resolve));
    stream.end(frame(Buffer.alloc(0)));
    await closed;
    expect(Buffer.concat(chunks)).toEqual(
      Buffer.concat([frame(Buffer.alloc(0)), frame(Buffer.alloc(100, 1)), frame(Buffer.alloc(100, 2)).subarray(0, 53)]),
    );
    await expect.poll(() => server.connectionCount).toBe(0);
  });
});

describe('cutConnections', () => {
  test('cuts open connections; a new connection is served', async () => {
    const { server, faults } = await serve();
    const session = await rawClient(server);
    const closed = new Promise((resolve) => session.once('close', resolve));
    faults.cutConnections();
    await closed;
    await expect(unary(client(server), 'FetchMetadata', {})).resolves.toBeTruthy();
  });
});

describe('goAway', () => {
  test('lets open calls continue; new calls need a new connection', async () => {
    const { server, faults } = await serve();
    const session = await rawClient(server);
    const stream = openRaw(session, '/proto.API/PublishAsync');
    const answer = collect(stream);
    stream.write(frame(Buffer.alloc(0)));
    await new Promise((resolve) => stream.once('data', resolve));
    const gone = new Promise((resolve) => session.once('goaway', resolve));
    faults.goAway();
    expect(await gone).toBe(0);
    stream.end(frame(Buffer.alloc(0)));
    const { messages, trailers } = await answer;
    expect(messages).toHaveLength(2);
    expect(trailers['grpc-status']).toBe('0');
    await expect.poll(() => session.closed).toBe(true);
    await expect(unary(client(server), 'FetchMetadata', {})).resolves.toBeTruthy();
  });
});

describe('silence', () => {
  test('holds back all responses, also to pings, until it ends; then sends them', async () => {
    const { server, faults } = await serve();
    const session = await rawClient(server);
    await raw(session, '/proto.API/FetchMetadata', frame(Buffer.alloc(0)));
    const end = faults.silence();
    const seen: string[] = [];
    const pong = new Promise<void>((resolve) => {
      session.ping(() => {
        seen.push('pong');
        resolve();
      });
    });
    const answer = raw(session, '/proto.API/FetchMetadata', frame(Buffer.alloc(0))).then((result) => {
      seen.push('answer');
      return result;
    });
    const newcomer = connectRaw(server.address).then((late) => {
      cleanups.push(() => late.destroy());
      return new Promise((resolve) => late.ping(resolve));
    });
    await turns();
    expect(seen).toEqual([]);
    end();
    await pong;
    expect((await answer).trailers['grpc-status']).toBe('0');
    expect(await newcomer).toBeNull();
  });

  test('holds back the writes of a handler until it ends', async () => {
    let write = () => {};
    const faults = new Faults();
    const server = await startServer(
      {
        Subscribe: {
          kind: 'server-stream',
          handle: async (_payload, call) => {
            call.sendHeaders();
            await new Promise<void>((resolve) => {
              write = () => {
                call.write(frame(Buffer.from('late')));
                resolve();
              };
            });
          },
        },
      },
      { faults },
    );
    cleanups.push(() => server.stop());
    const stream = openRaw(await rawClient(server), '/proto.API/Subscribe');
    stream.end(frame(Buffer.alloc(0)));
    const answer = collect(stream);
    await new Promise((resolve) => stream.once('response', resolve));
    const first = faults.silence();
    const second = faults.silence();
    write();
    first();
    await turns();
    expect(stream.readableLength).toBe(0);
    second();
    expect((await answer).messages.map(String)).toEqual(['late']);
  });

  test('does not block the stop of the server', async () => {
    const { server, faults } = await serve();
    const session = await rawClient(server);
    faults.silence();
    const closed = new Promise((resolve) => session.once('close', resolve));
    await server.stop();
    await closed;
    faults.clear();
  });
});

describe('partition', () => {
  test('cuts both directions until it is healed, and notifies listeners', () => {
    const faults = new Faults();
    let changes = 0;
    const off = faults.onChange(() => changes++);
    const heal = faults.partition(0, 2);
    const again = faults.partition(2, 0);
    expect([faults.network.isPartitioned(2, 0), faults.network.isPartitioned(0, 1)]).toEqual([true, false]);
    heal();
    heal();
    expect(faults.network.isPartitioned(0, 2)).toBe(true);
    again();
    expect(faults.network.isPartitioned(0, 2)).toBe(false);
    faults.partition(0, 1);
    faults.heal();
    expect(faults.network.isPartitioned(0, 1)).toBe(false);
    expect(changes).toBe(6);
    off();
    expect(() => new Faults(3).partition(0, 3)).toThrow(
      'expected j to be the index of a broker, an integer from 0 to 2, got 3 (number)',
    );
    expect(() => faults.partition(1, 1)).toThrow('expected j to be a broker other than 1, got 1 (number)');
  });
});

describe('ack faults', () => {
  test('apply when acks are sent', () => {
    const faults = new Faults();
    faults.delayAcks(250);
    faults.dropAcks(2);
    expect(faults.ackDelay).toBe(250);
    expect([faults.takeAckDrop(), faults.takeAckDrop(), faults.takeAckDrop()]).toEqual([true, true, false]);
    faults.dropAcks(1);
    faults.rejectNext('Publish', 'INTERNAL');
    faults.clear();
    expect([faults.ackDelay, faults.takeAckDrop(), faults.pending, faults.calls.armed]).toEqual([0, false, 0, false]);
    expect(() => faults.delayAcks(-1)).toThrow('expected ms to be a number of at least 0, got -1 (number)');
  });
});
