import { runInSlices } from '../src/async/cooperative.js';
import { readMetadata } from '../src/cluster/metadata-reader.js';
import { FetchMetadataResponse, type PartitionMetadata } from '../src/protocol/generated/api.js';
import { longestTurn } from './longest-turn.js';
import { median, type Row, shown, table } from './table.js';

const ROUNDS = 9;
const PARTITIONS = 10_000;

function partition(id: number): PartitionMetadata {
  return {
    ...{ id, leader: 'a', replicas: ['a'], isr: ['a'], paused: false, readonly: false },
    ...{ highWatermark: BigInt(id), newestOffset: BigInt(id) },
  };
}

/** A response with the partitions divided among this many streams. */
function response(streams: number): Buffer {
  const streamMetadata = Array.from({ length: streams }, (_, stream) => ({
    ...{ name: `stream-${stream}`, subject: `subject-${stream}`, error: 0 as const, creationTimestamp: 1n },
    partitions: new Map(Array.from({ length: PARTITIONS / streams }, (_, id) => [id, partition(id)])),
  }));
  const brokers = [{ id: 'a', host: '127.0.0.1', port: 9292, leaderCount: 0, partitionCount: 0 }];
  return Buffer.from(FetchMetadataResponse.encode({ brokers, streamMetadata, groupMetadata: [] }).finish());
}

async function measure(streams: number): Promise<Row> {
  const bytes = response(streams);
  const longest: number[] = [];
  const whole: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    longest.push(await longestTurn(() => runInSlices(readMetadata(bytes))));
    whole.push(performance.now() - began);
  }
  const figures = { 'longest turn, ms': shown(median(longest)), 'in all, ms': shown(median(whole)) };
  return { name: `${PARTITIONS.toLocaleString('en')} partitions in ${streams.toLocaleString('en')} streams`, figures };
}

/** How long the metadata of a large cluster keeps the event loop from other work; printed for bench/run.ts. */
export async function metadata(print: (text: string) => void): Promise<void> {
  const rows: Row[] = [];
  for (const streams of [1, 100, PARTITIONS]) rows.push(await measure(streams));
  print(table('Metadata of a large cluster', rows));
}
