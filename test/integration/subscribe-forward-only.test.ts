import { describe, expect, it } from 'vitest';
import { connect } from '../../src/index.js';
import { deliver, readingPeer } from '../support/reading-peer.js';
import type { ScriptedPeer } from '../support/scripted-peer.js';

/** A server that does not know the field `reverse`: it confirms, sends the retained messages from the start, and waits. */
function forwardOnly(retained: readonly bigint[]): Promise<ScriptedPeer> {
  return readingPeer({ highWatermark: 9n, newestOffset: 9n, isr: ['a'] }, ({ startOffset }, stream) =>
    deliver(
      stream,
      retained.filter((offset) => offset >= startOffset),
    ),
  );
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
    ['it sends later messages', { reverse: true, startAt: { offset: 4 } }, ['4']],
    ['it becomes silent', { reverse: true }, ['9']],
  ])('is detected when %s', async (_how, options, expected) => {
    const peer = await forwardOnly(retained);
    const { values, error } = await read(peer, options);
    expect(values).toEqual(expected);
    expect(error).toMatchObject(unimplemented);
    await peer.close();
  });

  it('does not make a bounded read of an expired log wait forever', async () => {
    const peer = await forwardOnly([]);
    expect(await read(peer, { startAt: 'earliest', stopAt: 'latest' })).toEqual({ values: [], error: null });
    await peer.close();
  });
});
