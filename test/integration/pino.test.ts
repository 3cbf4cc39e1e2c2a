import { TestBroker } from 'liftbridge-test-broker';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { connect, DeserializationError, type Json, type Metadata } from '../../src/index.js';
import { PATIENT } from '../support/patient.js';

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly err?: { readonly type: string; readonly message: string; readonly stack: string; readonly code: string };
  readonly metadata?: Json<Metadata>;
}

/** The real pino, and the lines that it writes. */
function logging() {
  const lines: Line[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
  return { logger, lines };
}

describe('a pino logger', () => {
  it('works without an adapter, and writes errors with message, stack and cause', async () => {
    const { logger, lines } = logging();
    await using broker = await TestBroker.start({ brokers: 2 });
    await using client = await connect(broker.addresses, { ...PATIENT, logger });
    await client.createStream('orders', 'orders');
    await client.setStreamReadonly('orders');
    await client.publish('orders', 'x', { ackPolicy: 'none' });
    await expect
      .poll(() => lines.find(({ level }) => level === 50)?.err)
      .toMatchObject({
        ...{ type: 'ReadonlyPartitionError', code: 'READONLY_PARTITION', stream: 'orders' },
        message: expect.stringContaining('Publish to stream "orders"'),
        stack: expect.stringContaining('    at '),
      });
    await broker.stopBroker(0);
    const lost = () => lines.find(({ level, msg }) => level === 40 && msg === 'broker disconnected');
    await expect.poll(lost).toMatchObject({ err: { type: 'ConnectionError', code: 'CONNECTION' } });
  });

  it('writes the cause of an error, and its 64-bit fields', () => {
    const { logger, lines } = logging();
    const cause = new SyntaxError('Unexpected end of JSON input');
    logger.error({ err: new DeserializationError('no JSON', { offset: 2n ** 60n, cause }) }, 'failed');
    expect(lines[0]?.err).toMatchObject({ message: 'no JSON: Unexpected end of JSON input' });
    expect(lines[0]?.err?.stack).toContain('caused by: SyntaxError: Unexpected end of JSON input');
  });

  it('writes the results of calls', async () => {
    const { logger, lines } = logging();
    await using broker = await TestBroker.start();
    await using client = await connect(broker.addresses, PATIENT);
    await client.createStream('orders', 'orders');
    const ack = await client.publish('orders', 'x');
    logger.info({ ack, metadata: client.metadata }, 'published');
    expect(lines[0]).toMatchObject({ ack: { stream: 'orders', offset: '0' } });
    expect(lines[0]?.metadata?.streams.orders?.partitions['0']?.leader).toBe('broker-0');
  });
});
