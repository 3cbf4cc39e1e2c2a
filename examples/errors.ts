/**
 * Errors, told apart by their code: what is the caller's mistake, what is worth another attempt, and what is unknown.
 *
 *   npx tsx examples/errors.ts
 *
 * Exit code 0 only if each failure had the code, and the way out, that it shows.
 */
import assert from 'node:assert/strict';
import { type Client, ConnectionError, connect, type ErrorCode, LiftbridgeError } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';

const seen = new Set<ErrorCode>();

/** The error that a call ends with, printed. */
async function failure(work: Promise<unknown>): Promise<LiftbridgeError> {
  const error = await work.then(
    () => assert.fail('it should have failed'),
    (reason: unknown) => reason,
  );
  // `is` also knows errors of another copy of the package; `instanceof` does not.
  assert.ok(LiftbridgeError.is(error));
  console.log(`${error.code}${error.retryable ? ' (may be tried again)' : ''}: ${error.message}`);
  seen.add(error.code);
  return error;
}

/** Creates a stream unless it is there: a code that is no failure at all. */
async function ensureStream(client: Client, name: string): Promise<void> {
  try {
    await client.createStream(name, name);
  } catch (error) {
    if (!LiftbridgeError.is(error, 'STREAM_EXISTS')) throw error;
  }
}

/** Publishes to a stream with optimistic concurrency control: tried again, it is stored once. */
async function publishOnce(client: Client, stream: string, value: string, expectedOffset: bigint): Promise<void> {
  for (let attempt = 1; attempt <= 5; attempt++) {
    try {
      await client.publish(stream, value, { expectedOffset, timeout: 200 });
      return;
    } catch (error) {
      if (!LiftbridgeError.is(error)) throw error;
      switch (error.code) {
        case 'ACK_TIMEOUT':
        case 'CONNECTION':
          continue; // it is unknown whether it was stored
        case 'INCORRECT_OFFSET':
          if (attempt > 1) return; // the offset is taken, by an earlier attempt: there is no other writer
          throw error;
        default:
          throw error;
      }
    }
  }
  throw new Error('the leader stayed silent');
}

const broker = await TestBroker.start();
const client = await connect(broker.addresses);

// Mistakes of the caller are found before anything is sent, and named.
await failure(client.publish('orders', 'x', { timeout: -1 }));
await failure(client.publish('orders', 'x', { acks: 'all' } as object));
await failure(client.publish('nowhere', 'x'));

await ensureStream(client, 'orders');
await ensureStream(client, 'orders');

// An ack that is late: the outcome is unknown, and a blind second attempt may store the message twice.
broker.faults.dropAcks(1);
const late = await failure(client.publish('orders', 'once or twice?', { timeout: 100 }));
assert.equal(late.retryable, true);

// Unless the stream checks offsets.
await client.createStream('ledger', 'ledger', { optimisticConcurrencyControl: true });
broker.faults.dropAcks(1);
await publishOnce(client, 'ledger', 'exactly once', 0n);
assert.equal(broker.messages('ledger').length, 1);
await failure(client.publish('ledger', 'in the way', { expectedOffset: 0 }));

// An aborted call rejects with the reason of its signal, as everywhere on the platform: not with a LiftbridgeError.
const reason = new Error('the user went away');
await assert.rejects(client.publish('orders', 'x', { signal: AbortSignal.abort(reason) }), (error) => error === reason);

await client.close();
await failure(client.ping());
await broker.close();

// No broker listens any more: the error says where, why, and that nothing was sent.
const gone = await failure(connect(broker.addresses, { connectTimeout: 2_000 }));
assert.ok(gone instanceof ConnectionError);
console.log(`  reason: ${gone.reason}, outcome: ${gone.outcome}`);
assert.equal(gone.reason, 'refused');

assert.deepEqual([...seen].sort(), [
  'ACK_TIMEOUT',
  'CLOSED',
  'CONNECTION',
  'INCORRECT_OFFSET',
  'INVALID_ARGUMENT',
  'NO_SUCH_STREAM',
]);
console.log('Each failure had a code, and the code a way out.');
