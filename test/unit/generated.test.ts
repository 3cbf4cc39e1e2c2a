import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadSync } from '@grpc/proto-loader';
import { describe, expect, it } from 'vitest';
import { runNode } from '../support/child-process.js';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const wireFile = here('../../../shared/spec/wire.json');

interface WireField {
  readonly name: string;
  readonly number: number;
}

interface Wire {
  readonly enums: Record<string, Record<string, number>>;
  readonly messages: Record<string, readonly WireField[]>;
  readonly service: {
    readonly rpcs: readonly { name: string; path: string; clientStreaming: boolean; serverStreaming: boolean }[];
  };
}

describe('the generated protocol', () => {
  it('matches the proto files', async () => {
    expect(await runNode(['scripts/generate.mjs', '--check'])).toMatchObject({ code: 0, error: '' });
  });
});

describe('proto/api.proto', () => {
  it.skipIf(!existsSync(wireFile))(
    'has every message, field, number and RPC of the wire contract (skips without ../shared)',
    () => {
      const wire = JSON.parse(readFileSync(wireFile, 'utf8')) as Wire;
      const types = loadSync(here('../../proto/api.proto')) as Record<string, { type?: { field: WireField[] } }>;
      for (const [message, fields] of Object.entries(wire.messages)) {
        const own = types[`proto.${message}`]?.type?.field.map(({ name, number }) => ({ name, number }));
        expect(own, message).toEqual(fields.map(({ name, number }) => ({ name, number })));
      }
      const api = types['proto.API'] as unknown as Record<
        string,
        { path: string; requestStream: boolean; responseStream: boolean }
      >;
      for (const rpc of wire.service.rpcs) {
        const expected = { path: rpc.path, requestStream: rpc.clientStreaming, responseStream: rpc.serverStreaming };
        expect(api[rpc.name], rpc.name).toMatchObject(expected);
      }
    },
  );
});
