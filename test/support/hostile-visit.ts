import { type Client, connect, LiftbridgeError } from '../../src/index.js';
import { eventually } from './eventually.js';
import { type Behaviour, HostileProxy } from './hostile-proxy.js';

const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Surrogate}\u202a-\u202e\u2066-\u2069]/u;
/** Milliseconds for each call while the server is hostile. */
const SHORT = 400;

/**
 * Connects a client to a server with this behaviour, then to a normal one. Throws when a call ends without success or a
 * typed error, when the client does not work afterwards, or when it leaves a connection open.
 */
export async function visit(backend: string, stream: string, behaviour: Behaviour): Promise<void> {
  const proxy = await HostileProxy.start(backend);
  const options = {
    connectTimeout: SHORT,
    requestTimeout: SHORT,
    ackTimeout: SHORT,
    resubscribeTimeout: SHORT,
    retry: { attempts: 3, minDelay: 10, maxDelay: 50 },
    resolveBroker: () => proxy.address,
  };
  // A busy machine may need several attempts with a normal server.
  const client = await eventually('a first connection', () => connect(proxy.address, options));
  try {
    await eventually('a first publish', () => client.publish(stream, 'sound', { timeout: 20_000 }));
    proxy.behaviour = behaviour;
    if (behaviour.onConnect !== undefined) proxy.cut();
    await meet(client, stream);
    const other = await attempt(() => connect(proxy.address, options));
    if (other !== null) {
      await meet(other, stream);
      await other.close({ timeout: 0 });
    }
    await meet(client, stream);
    proxy.calm();
    await eventually('the client works again', () => worksAgain(client, stream));
  } finally {
    proxy.calm();
    await client.close({ timeout: 0 });
    try {
      await eventually('no connection is left', () => proxy.open === 0);
    } finally {
      await proxy.close();
    }
  }
}

async function meet(client: Client, stream: string): Promise<void> {
  await Promise.all([
    attempt(() => client.fetchMetadata()),
    attempt(() => client.fetchPartitionMetadata(stream, 0)),
    attempt(() => client.publish(stream, 'hostile')),
    attempt(() => readOne(client, stream, SHORT)),
  ]);
}

async function readOne(client: Client, stream: string, timeout: number): Promise<boolean> {
  const signal = AbortSignal.timeout(timeout * 2);
  try {
    for await (const _ of await client.subscribe(stream, { startAt: 'earliest', timeout, signal })) return true;
    return false;
  } catch (error) {
    if (error === signal.reason) return false;
    throw error;
  }
}

/** The result, or null when it failed with a typed error. */
async function attempt<Result>(call: () => Promise<Result>): Promise<Result | null> {
  try {
    return await call();
  } catch (error) {
    if (!LiftbridgeError.is(error) || error.code === 'UNEXPECTED')
      throw new Error(`no typed error: ${String(error)}`, { cause: error });
    if (UNSAFE.test(error.message) || error.message.length > 1_500)
      throw new Error(`an error that cannot be logged: ${JSON.stringify(error.message)}`, { cause: error });
    return null;
  }
}

async function worksAgain(client: Client, stream: string): Promise<boolean> {
  await client.publish(stream, 'sound again', { timeout: 10_000 });
  await client.fetchMetadata();
  return await readOne(client, stream, 5_000);
}
