import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HEALTH_SERVICE, Health } from '../../src/grpc/health.js';
import { GrpcServer } from '../../src/grpc/server.js';
import { healthClient, unary } from './fixture.js';

describe('Health', () => {
  let server: GrpcServer;
  let client: ReturnType<typeof healthClient>;
  const health = new Health();

  beforeAll(async () => {
    server = await GrpcServer.start({ port: 0, services: new Map([[HEALTH_SERVICE, health.methods]]) });
    client = healthClient(server.address);
  });
  afterAll(async () => {
    client.close();
    await server.stop();
  });

  test.each(['', 'proto.API'])('Check reports %j as serving', async (service) => {
    expect(await unary(client, 'Check', { service })).toEqual({ status: 'SERVING' });
  });

  test('Check rejects an unknown service with NOT_FOUND', async () => {
    await expect(unary(client, 'Check', { service: 'nope' })).rejects.toMatchObject({
      code: grpc.status.NOT_FOUND,
      details: 'unknown service',
    });
  });

  test('Watch reports the current status and each change; shutdown stops the API alone', async () => {
    const seen = { api: [] as string[], nope: [] as string[] };
    const api = client.Watch({ service: 'proto.API' });
    const nope = client.Watch({ service: 'nope' });
    const first = Promise.all([api, nope].map((call) => new Promise((resolve) => call.once('data', resolve))));
    api.on('data', ({ status }: { status: string }) => seen.api.push(status));
    nope.on('data', ({ status }: { status: string }) => seen.nope.push(status));
    await first;
    const second = new Promise((resolve) => api.once('data', resolve));
    health.shutdown();
    await second;
    expect(seen).toEqual({ api: ['SERVING', 'NOT_SERVING'], nope: ['SERVICE_UNKNOWN'] });
    expect(await unary(client, 'Check', { service: '' })).toEqual({ status: 'SERVING' });
    expect(await unary(client, 'Check', { service: 'proto.API' })).toEqual({ status: 'NOT_SERVING' });
    for (const call of [api, nope]) {
      const cancelled = new Promise((resolve) => call.on('error', resolve));
      call.cancel();
      expect(await cancelled).toMatchObject({ code: grpc.status.CANCELLED });
    }
  });
});
