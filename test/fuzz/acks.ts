import { decodeMessage, encodeAck, LiftbridgeError } from '../../src/envelope.js';
import { type NatsConnection, natsPublisher } from '../../src/nats.js';
import { CONNECTION } from '../support/hostile-calls.js';
import { mutated, Random } from './random.js';
import type { FuzzTarget } from './target.js';

const PUBLISHES = 20;
const HOSTILE_ACKS = 10;

type Receive = Parameters<NatsConnection['subscribe']>[1]['callback'];

/** Envelopes in the ack inbox of a NATS publisher, most of them invalid acks of waiting publishes. */
export const acks: FuzzTarget = {
  name: 'acks',
  unit: 'acks',
  open: async () => {
    let receive: Receive = () => undefined;
    let published: Buffer[] = [];
    const connection: NatsConnection = {
      ...CONNECTION,
      publish: (_subject, data) => void published.push(Buffer.from(data)),
      subscribe: (_inbox, { callback }) => {
        receive = callback;
        return { unsubscribe: () => undefined };
      },
    };
    const publisher = natsPublisher(connection, { timeout: 60_000 });
    return {
      step: async (seed) => {
        const random = new Random(seed);
        published = [];
        const results = Array.from({ length: PUBLISHES }, (_, i) =>
          publisher.publish('orders', `value ${i}`, { acks: 2 }),
        );
        const settled = Promise.allSettled(results);
        await new Promise((resolve) => setImmediate(resolve));
        if (published.length !== PUBLISHES) throw new Error(`${published.length} of ${PUBLISHES} publishes were sent`);
        const ids = published.map((data) => decodeMessage(data).correlationId);
        for (let i = 0; i < PUBLISHES * HOSTILE_ACKS; i++) {
          const ack = encodeAck({ stream: 'orders', offset: random.below(1_000), correlationId: random.pick(ids) });
          receive(null, { data: mutated(random, ack) });
        }
        for (const correlationId of ids)
          for (const stream of ['one', 'two', 'three']) receive(null, { data: encodeAck({ stream, correlationId }) });
        for (const result of await settled)
          if (result.status === 'rejected' && !(result.reason instanceof LiftbridgeError))
            throw new Error('no typed error', { cause: result.reason });
        return PUBLISHES * HOSTILE_ACKS;
      },
      close: () => publisher.close(),
    };
  },
};
