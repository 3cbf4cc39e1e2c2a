import type { ServerHttp2Stream } from 'node:http2';
import { ByteWriter } from '../../src/protocol/byte-writer.js';
import {
  FetchMetadataResponse,
  FetchPartitionMetadataResponse,
  PartitionMetadata,
  SubscribeRequest,
} from '../../src/protocol/generated/api.js';
import { encodeMessage } from '../../src/protocol/message.js';
import { frame } from '../../src/transport/frames.js';
import { answer, GRPC_HEADERS, ScriptedPeer } from './scripted-peer.js';

/** The metadata of the only partition of the stream "orders". */
export interface PartitionState {
  highWatermark: bigint;
  newestOffset: bigint;
  isr: string[];
}

/** Responds to a Subscribe call; `call` counts the calls from 1. */
export type SubscribeScript = (request: SubscribeRequest, stream: ServerHttp2Stream, call: number) => void;

/** A framed message of "orders" in the wire format; its value is its offset. */
export function messageFrame(offset: bigint): Buffer {
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
  return frame(writer.take());
}

/** Confirms a Subscribe call and sends messages; the call stays open. */
export function deliver(stream: ServerHttp2Stream, offsets: readonly bigint[]): void {
  stream.respond(GRPC_HEADERS, { waitForTrailers: true });
  stream.write(Buffer.concat([frame(new Uint8Array(0)), ...offsets.map(messageFrame)]));
}

/** Ends a Subscribe call that was confirmed, with a status. */
export function endCall(stream: ServerHttp2Stream, status: number, message: string): void {
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status), 'grpc-message': message }));
  stream.end();
}

/** A broker "a" with the stream "orders", whose Subscribe calls are served by a test. */
export async function readingPeer(state: PartitionState, onSubscribe: SubscribeScript): Promise<ScriptedPeer> {
  let calls = 0;
  const partition = (): PartitionMetadata =>
    PartitionMetadata.fromPartial({ id: 0, leader: 'a', replicas: state.isr, ...state });
  const peer: ScriptedPeer = await ScriptedPeer.start((stream, headers) => {
    const path = String(headers[':path']);
    if (path.endsWith('/FetchMetadata')) {
      const brokers = [{ id: 'a', host: peer.host, port: peer.port }];
      const partitions = new Map([[0, partition()]]);
      const streamMetadata = [{ name: 'orders', subject: 'orders', creationTimestamp: 1n, partitions }];
      const response = FetchMetadataResponse.fromPartial({ brokers, streamMetadata });
      answer(stream, [FetchMetadataResponse.encode(response).finish()]);
    } else if (path.endsWith('/FetchPartitionMetadata')) {
      const response = FetchPartitionMetadataResponse.fromPartial({ metadata: partition() });
      answer(stream, [FetchPartitionMetadataResponse.encode(response).finish()]);
    } else {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const request = SubscribeRequest.decode(Buffer.concat(chunks).subarray(5));
        onSubscribe(request, stream, ++calls);
      });
    }
  });
  return peer;
}
