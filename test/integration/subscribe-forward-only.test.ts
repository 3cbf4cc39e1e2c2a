import { describe, expect, it } from 'vitest';
import { connect } from '../../src/index.js';
import { ByteWriter } from '../../src/protocol/byte-writer.js';
import {
  FetchMetadataResponse,
  FetchPartitionMetadataResponse,
  PartitionMetadata,
  SubscribeRequest,
} from '../../src/protocol/generated/api.js';
import { encodeMessage } from '../../src/protocol/message.js';
import { frame } from '../../src/transport/frames.js';
import { answer, GRPC_HEADERS, ScriptedPeer } from '../support/scripted-peer.js';

const PARTITION = { id: 0, leader: 'a', replicas: ['a'], isr: ['a'], highWatermark: 9n, newestOffset: 9n };

function message(offset: bigint): Uint8Array {
  const writer = new ByteWriter();
  encodeMessage(writer, {
    offset,
    key: null,
    value: Buffer.from(String(offset)),
    timestamp: offset + 1n,
    stream: 'orders',
    partition: 0,
    subject: 'orders',
    replySubject: '',
    headers: null,
    ackInbox: '',
    correlationId: '',
    ackPolicy: 0,
  });
  return writer.take();
}

/** A server that does not know the field `reverse`: it confirms, sends what it retains from the start on, and waits. */
async function forwardOnly(retained: readonly bigint[]): Promise<ScriptedPeer> {
  const peer: ScriptedPeer = await ScriptedPeer.start((stream, headers) => {
    const path = String(headers[':path']);
    if (path.endsWith('/FetchMetadata')) {
      const brokers = [{ id: 'a', host: peer.host, port: peer.port }];
      const streamMetadata = [
        {
          name: 'orders',
          subject: 'orders',
          creationTimestamp: 1n,
          partitions: new Map([[0, PartitionMetadata.fromPartial(PARTITION)]]),
        },
      ];
      const response = FetchMetadataResponse.fromPartial({ brokers, streamMetadata });
      answer(stream, [FetchMetadataResponse.encode(response).finish()]);
    } else if (path.endsWith('/FetchPartitionMetadata')) {
      const response = FetchPartitionMetadataResponse.fromPartial({ metadata: PARTITION });
      answer(stream, [FetchPartitionMetadataResponse.encode(response).finish()]);
    } else {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { startOffset } = SubscribeRequest.decode(Buffer.concat(chunks).subarray(5));
        const sent = retained.filter((offset) => offset >= startOffset).map((offset) => frame(message(offset)));
        stream.respond(GRPC_HEADERS);
        stream.write(Buffer.concat([frame(new Uint8Array(0)), ...sent]));
      });
    }
  });
  return peer;
}

async function read(peer: ScriptedPeer, options: object): Promise<{ values: string[]; error: unknown }> {
  await using client = await connect(`${peer.host}:${peer.port}`);
  const values: string[] = [];
  try {
    for await (const one of await client.subscribe('orders', options)) values.push(one.text());
    return { values, error: null };
  } catch (error) {
    return { values, error };
  }
}

describe('a server that cannot read in reverse', () => {
  const retained = Array.from({ length: 10 }, (_, n) => BigInt(n));
  const unimplemented = { code: 'SERVER', status: 'UNIMPLEMENTED' };

  it.each([
    ['it sends what lies above', { reverse: true, startAt: { offset: 4 } }, ['4']],
    ['it falls silent', { reverse: true }, ['9']],
  ])('is found out when %s', async (_how, options, expected) => {
    const peer = await forwardOnly(retained);
    const { values, error } = await read(peer, options);
    expect(values).toEqual(expected);
    expect(error).toMatchObject(unimplemented);
    await peer.close();
  });

  it('does not keep a bounded read of an expired log waiting for ever', async () => {
    const peer = await forwardOnly([]);
    expect(await read(peer, { startAt: 'earliest', stopAt: 'latest' })).toEqual({ values: [], error: null });
    await peer.close();
  });
});
