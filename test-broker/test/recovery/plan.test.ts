import { describe, expect, it } from 'vitest';
import { isQuick, realRecovery, scaledRecovery } from '../../src/recovery/plan.js';
import { resolveGiven } from '../../src/settings.js';
import { running } from '../cluster/running.js';

const total = (plan: object) => Object.values(plan).reduce((sum: number, ms: number) => sum + ms, 0);

describe('the duration of a recovery', () => {
  it('is divided among the phases', () => {
    expect(total(scaledRecovery(200))).toBeCloseTo(200);
    expect(scaledRecovery(200)).toEqual({ refused: 20, empty: 100, replay: 30, notLeading: 50 });
  });

  it('is that of the server if the settings use the timeouts of the server', () => {
    const given = (timeout: string) => resolveGiven({ 'clustering.replica.max.leader.timeout': timeout });
    expect([isQuick(resolveGiven({})), isQuick(given('1s')), isQuick(given('15s'))]).toEqual([true, true, false]);
  });

  it('depends in the server on the number of streams, and in a cluster on the downtime', () => {
    const alone = realRecovery({ survivors: false, away: 0, streams: 0 });
    expect(total(alone)).toBeGreaterThan(1_400);
    expect(total(realRecovery({ survivors: false, away: 0, streams: 300 }))).toBeGreaterThan(total(alone) + 300);
    const short = realRecovery({ survivors: true, away: 2_000, streams: 0 });
    expect(total(short)).toBeLessThan(500);
    expect(realRecovery({ survivors: true, away: 24_000, streams: 0 }).empty).toBeGreaterThan(8_000);
    expect(realRecovery({ survivors: true, away: 1e9, streams: 0 }).empty).toBe(10_000);
  });

  it('is real or short by default', async () => {
    const slow = await running({ settings: { 'clustering.replica.max.leader.timeout': '15s' } });
    await slow.broker.stopBroker(0);
    const started = slow.broker.startBroker(0);
    await slow.broker.clock.advance(100);
    const recovery = await started;
    await slow.broker.clock.advance(1_000);
    expect(recovery.phase).toBe('empty');
    await slow.broker.clock.advance(1_000);
    await recovery.ready;
    const quick = await running();
    await quick.broker.stopBroker(0);
    const starting = quick.broker.startBroker(0);
    await quick.broker.clock.advance(20);
    const quickly = await starting;
    expect(quickly.phase).not.toBe('ready');
    await quick.broker.clock.advance(180);
    await quickly.ready;
  });
});
