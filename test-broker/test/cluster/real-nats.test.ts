import { connect } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closing } from '../../../test/support/closing.js';
import { NATS_SERVER, RealNatsServer } from '../nats/nats-server.js';
import { eventually } from './clients.js';
import { known, running } from './running.js';

describe.skipIf(NATS_SERVER === null)(
  'a cluster on a real NATS server (skipped where nats-server is not installed)',
  () => {
    let nats: RealNatsServer;

    beforeAll(async () => {
      nats = await RealNatsServer.start();
    });

    afterAll(() => nats.stop());

    it('accepts publishes through any broker, and from NATS clients', async () => {
      const { broker, clients } = await running({ brokers: 3, nats: nats.url });
      expect(broker.natsUrl).toBe(nats.url);
      await clients[0]!.createStream('s', { subject: 'real.subject', replicationFactor: 3 });
      await clients[0]!.publish('s', '0', { ackPolicy: 'ALL' });
      await known('s', clients);
      for (const [i, client] of clients.entries()) await client.publish('s', String(i + 1), { ackPolicy: 'ALL' });
      const connection = closing(await connect({ servers: nats.url }));
      connection.publish('real.subject', Buffer.from('raw'));
      await eventually(
        () => broker.messages('s').map((message) => message.text()),
        (values) => values.join() === '0,1,2,3,raw',
      );
    });

    it('has a new leader that is subscribed once moveLeader resolves', async () => {
      const { broker, clients } = await running({ brokers: 3, nats: nats.url });
      await clients[0]!.createStream('moved', { replicationFactor: 3 });
      await known('moved', clients);
      const offsets: number[] = [];
      for (const to of [1, 2, 0, 1, 2, 0]) {
        await broker.moveLeader('moved', 0, to);
        offsets.push((await clients[to]!.publish('moved', String(to), { ackPolicy: 'ALL' })).offset);
      }
      expect(offsets).toEqual([0, 1, 2, 3, 4, 5]);
      expect(
        broker
          .messages('moved')
          .map((message) => message.text())
          .join(),
      ).toBe('1,2,0,1,2,0');
    });

    it('rejects when there is no NATS server', async () => {
      const gone = await RealNatsServer.start();
      await gone.stop();
      await expect(running({ nats: gone.url })).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' });
    });
  },
);
