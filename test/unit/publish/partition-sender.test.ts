import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { errorFromStatus } from '../../../src/errors.js';
import { AckPolicy } from '../../../src/protocol/generated/api.js';
import { BrokerChoice } from '../../../src/publish/broker-choice.js';
import type { PendingPublish } from '../../../src/publish/partition-queue.js';
import { PartitionQueue } from '../../../src/publish/partition-queue.js';
import { PartitionSender } from '../../../src/publish/partition-sender.js';
import { hasTime } from '../../../src/publish/probe-pacing.js';
import type { PublishOutcome } from '../../../src/publish/publish-outcome.js';
import type { PublishStream } from '../../../src/publish/publish-stream.js';
import { PublishStreams } from '../../../src/publish/publish-streams.js';
import { transportEnd } from '../../../src/transport/stream-end.js';
import { FakeCluster, publish, recorder, target } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

const BROKEN = transportEnd(14, 'broken', true);
const UNTOUCHED = transportEnd(14, 'refused', false);

let cluster: FakeCluster;
let publishStreams: PublishStreams;
let queue: PartitionQueue;
let sender: PartitionSender;
/** The publishes in the order of writing, each with its broker. */
let written: string[];
/** Publishes that failed, and the error code. */
let ended: [PendingPublish, unknown][];
let searches: number;
let doubts: number;
/** Publishes that cannot be stored twice. */
let repeatable: Set<PendingPublish>;

beforeEach(() => {
  vi.useFakeTimers();
  vi.advanceTimersByTime(10_000);
  vi.spyOn(Math, 'random').mockReturnValue(1); // backoff without jitter
  cluster = new FakeCluster();
  written = [];
  first = 0;
  ended = [];
  searches = 0;
  doubts = 0;
  repeatable = new Set();
  publishStreams = new PublishStreams(
    cluster.asCluster,
    { maxMessageBytes: 1_000_000, idPrefix: 'p' },
    recorder().listener,
  );
  queue = new PartitionQueue('orders', 0);
  const end = (pending: PendingPublish, error: unknown) => {
    pending.settled = true;
    ended.push([pending, (error as { code?: string }).code ?? error]);
  };
  const owner = {
    report: (result: PublishOutcome) => {
      if (result.kind === 'failed') end(result.pending, result.error);
      else if (result.kind === 'all-failed')
        for (const pending of result.pendings) end(pending, result.errorOf(pending));
      else expect.unreachable();
    },
    mayRepeat: (pending: PendingPublish) => repeatable.has(pending),
    searchLeader: () => void searches++,
    unknownPartition: () => void doubts++,
  };
  sender = new PartitionSender(
    cluster.asCluster,
    owner,
    publishStreams,
    new BrokerChoice(cluster.asCluster, publishStreams),
    () => [queue],
  );
});
afterEach(() => {
  sender.stop();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const settle = () => vi.advanceTimersByTimeAsync(0);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** Opens the stream to a broker and records the publishes that are written to it. */
async function open(id: string): Promise<PublishStream<PendingPublish>> {
  const publishStream = publishStreams.to(target(id));
  publishStream.open();
  await settle();
  queue.checked ??= publishStream;
  vi.spyOn(publishStream, 'write').mockImplementation(
    (pending) => void written.push(`${pending.number - first} ${id}`),
  );
  return publishStream;
}

/** The number of the first publish of a test; `written` counts from it. */
let first = 0;

function submit(count: number, more: Partial<PendingPublish> = {}): PendingPublish[] {
  const all = Array.from({ length: count }, () => publish(more, queue));
  first ||= all[0]!.number;
  for (const pending of all) sender.submit(queue, pending);
  return all;
}

/** The broker acknowledges a publish. */
function acknowledge(pending: PendingPublish): void {
  pending.settled = true;
  sender.recordResponse(pending, true);
  sender.remove(pending);
}

/** The broker refuses a publish that may be stored later, which starts a search for the leader. */
function refuse(pending: PendingPublish): void {
  sender.takeBack(pending, new Error('recovering'));
  cluster.version++;
}

describe('publishes to a partition', () => {
  it('are sent at once, in order, and count as in flight', async () => {
    const publishStream = await open('a');
    const [one, two] = submit(2);
    expect(written).toEqual(['0 a', '1 a']);
    expect(one).toMatchObject({ sent: true, attempts: 1, publishStream });
    expect([queue.unsettled, queue.prompt, publishStream.inFlight.size]).toEqual([2, 2, 2]);
    acknowledge(one!);
    acknowledge(two!);
    expect([queue.unsettled, queue.prompt, publishStream.inFlight.size]).toEqual([0, 0, 0]);
    expect(one).toMatchObject({ sent: false, publishStream: null });
  });

  it('with acks of all replicas do not count as prompt', async () => {
    await open('a');
    const [one] = submit(1, { ackPolicy: AckPolicy.ALL });
    expect([queue.unsettled, queue.prompt]).toEqual([1, 0]);
    acknowledge(one!);
    expect([queue.unsettled, queue.prompt]).toEqual([0, 0]);
  });

  it('without acks are not in flight', async () => {
    const publishStream = await open('a');
    const unacknowledged = vi.spyOn(publishStream, 'writeUnacknowledged').mockReturnValue();
    const [one] = submit(1, { ackPolicy: AckPolicy.NONE });
    expect(unacknowledged).toHaveBeenCalledWith(one);
    expect([queue.unsettled, one!.sent, one!.attempts]).toEqual([0, false, 1]);
  });

  it('continue after one that cannot be written, which fails with the error', async () => {
    const publishStream = await open('a');
    const tooLarge = new Error('too large');
    vi.mocked(publishStream.write).mockImplementationOnce(() => {
      throw tooLarge;
    });
    const [one] = submit(2);
    expect(ended).toEqual([[one, tooLarge]]);
    expect(written).toEqual(['1 a']);
    expect(queue.unsettled).toBe(1);
  });

  it('wait in order until there is a publish stream', async () => {
    submit(2);
    expect(queue.waiting.empty).toBe(false);
    await open('a');
    submit(1);
    expect(written).toEqual([]);
    await pass(50);
    expect(written).toEqual(['0 a', '1 a', '2 a']);
  });

  it('are sent in slices, one for each turn of the event loop', async () => {
    await open('a');
    cluster.stream('a').writable = false;
    submit(2_000);
    cluster.stream('a').writable = true;
    sender.pump(queue);
    expect(written).toHaveLength(1_024);
    await pass(1);
    expect(written).toHaveLength(2_000);
    written = [];
    cluster.stream('a').writable = false;
    submit(5, { bytes: 2 * 1024 * 1024 });
    cluster.stream('a').writable = true;
    sender.pump(queue);
    expect(written).toHaveLength(2);
    await pass(2);
    expect(written).toHaveLength(5);
  });

  it('are not sent when no ack can come in time', async () => {
    await open('a');
    cluster.stream('a').writable = false;
    const now = performance.now();
    submit(1, { deadline: now + 24 });
    submit(1, { deadline: now + 25 });
    cluster.stream('a').writable = true;
    sender.pump(queue);
    expect(written).toEqual(['1 a']);
    expect(queue.waiting.empty).toBe(true);
  });

  it.each([
    [60_000, 25, true],
    [60_000, 24, false],
    [20, 10, true],
    [20, 9, false],
  ])('with a timeout of %i ms have time for an ack with %i ms left: %s', (timeout, left, expected) => {
    expect(hasTime(publish({ timeout, deadline: 1_000 + left }), 1_000)).toBe(expected);
  });

  it('are sent with the last ack when the stream is usable again', async () => {
    const publishStream = await open('a');
    const usable = vi.spyOn(publishStream, 'usable', 'get');
    const [one, two] = submit(2);
    usable.mockReturnValue(false);
    submit(1);
    usable.mockReturnValue(true);
    acknowledge(one!);
    expect(written).toEqual(['0 a', '1 a']);
    acknowledge(two!);
    expect(written).toEqual(['0 a', '1 a', '2 a']);
  });

  it('are not sent once the sender has stopped', async () => {
    await open('a');
    cluster.stream('a').writable = false;
    submit(1);
    cluster.stream('a').writable = true;
    sender.stop();
    sender.pump(queue);
    await pass(10_000);
    expect(written).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('fail with the refusal of a leader that refuses this client', async () => {
    const publishStream = publishStreams.to(target('a'));
    publishStream.refusal = Object.assign(new Error('no'), { code: 'CONNECTION', reason: 'tls-rejected' }) as never;
    const [one, two] = [publish({}, queue), publish({}, queue)];
    sender.submit(queue, one);
    sender.submit(queue, two);
    expect(ended).toEqual([
      [one, 'CONNECTION'],
      [two, 'CONNECTION'],
    ]);
  });
});

describe('publishes that a broker refuses temporarily', () => {
  it('are sent again after a pause, in their order and before later ones', async () => {
    await open('a');
    await open('b');
    const [one, two] = submit(2);
    refuse(one!);
    refuse(two!);
    submit(1);
    expect(written).toEqual(['0 a', '1 a']);
    expect([one!.attempts, one!.lastError]).toEqual([0, new Error('recovering')]);
    await pass(49);
    expect(written).toHaveLength(2);
    await pass(1);
    // As probes, one at a time, through a broker that has not refused.
    expect(written.slice(2)).toEqual(['0 b']);
    acknowledge(one!);
    await pass(1);
    // The ack ends the trouble: the leader is checked again.
    expect(written.slice(2)).toEqual(['0 b', '1 a', '2 a']);
  });

  it('are sent again after growing pauses while they are refused', async () => {
    cluster.ids = ['a'];
    await open('a');
    const [one] = submit(1);
    const times: number[] = [];
    for (let refusal = 0; refusal < 5; refusal++) {
      refuse(one!);
      const began = performance.now();
      const count = written.length;
      while (written.length === count) await pass(1);
      times.push(Math.round(performance.now() - began));
    }
    // The only broker has refused: each round begins with a check that forgets the refusal.
    for (const [round, pause] of [50, 100, 200, 250, 250].entries()) {
      expect(times[round]).toBeGreaterThanOrEqual(pause);
      expect(times[round]).toBeLessThanOrEqual(pause + 50);
    }
  });

  it('fail as overtaken when a later one was stored', async () => {
    await open('a');
    const [one, two, three] = submit(3);
    refuse(one!);
    refuse(three!);
    acknowledge(two!);
    expect(ended).toEqual([[one, 'CONNECTION']]);
    await pass(300);
    expect(written.slice(3).map((what) => what.split(' ')[0])).toEqual(['2']);
  });

  it('fail as overtaken although acks come out of order', async () => {
    await open('a');
    const [one, two, three] = submit(3);
    acknowledge(three!);
    acknowledge(one!);
    refuse(two!);
    await pass(100);
    expect(ended).toEqual([[two, 'CONNECTION']]);
  });

  it('wait up to half a second for the publishes in flight', async () => {
    await open('a');
    await open('b');
    const [one, two] = submit(2);
    refuse(one!);
    await pass(499);
    expect([written.length, ended]).toEqual([2, []]);
    await pass(60);
    expect(ended).toEqual([[two, 'CONNECTION']]);
    expect(written.slice(2)).toEqual(['0 b']);
  });

  it('are dropped when they have settled meanwhile', async () => {
    await open('a');
    await open('b');
    const [one, two] = submit(2);
    refuse(one!);
    refuse(two!);
    one!.settled = true;
    await pass(60);
    expect(written.slice(2)).toEqual(['1 b']);
  });

  it('fail with all that wait when the stream is gone', async () => {
    await open('a');
    const [one] = submit(1);
    refuse(one!);
    const [two] = submit(1);
    const gone = new Error('gone');
    sender.failWaiting(queue, () => gone);
    expect(ended).toEqual([
      [one, gone],
      [two, gone],
    ]);
    await pass(1_000);
    expect(written).toHaveLength(1);
  });
});

describe('publishes whose stream to the broker breaks', () => {
  async function broken(end = BROKEN) {
    const publishStream = await open('a');
    const all = submit(3);
    repeatable.add(all[1]!);
    cluster.stream('a').writable = false;
    sender.takeBackLost([queue], publishStream.inFlight.clear(), publishStream, end);
    return { publishStream, all };
  }

  it('fail, except those that cannot be stored twice', async () => {
    const { all } = await broken();
    expect(ended).toEqual([
      [all[0], 'CONNECTION'],
      [all[2], 'CONNECTION'],
    ]);
    expect([queue.unsettled, queue.prompt, queue.version]).toEqual([0, 0, -1]);
    await open('b');
    cluster.leaderId = 'b';
    sender.pump(queue);
    await settle();
    expect(written.slice(3)).toEqual(['1 b']);
    expect(all[1]!.attempts).toBe(2);
  });

  it('are all sent again when the broker has not processed them', async () => {
    const { all } = await broken(UNTOUCHED);
    expect(ended).toEqual([]);
    expect(all.map(({ attempts }) => attempts)).toEqual([0, 0, 0]);
    await open('b');
    cluster.leaderId = 'b';
    sender.pump(queue);
    await settle();
    // The first is a probe.
    expect(written.slice(3)).toEqual(['0 b']);
    acknowledge(all[0]!);
    await pass(1);
    expect(written.slice(3)).toEqual(['0 b', '1 b', '2 b']);
  });

  it('all fail once the sender has stopped', async () => {
    const publishStream = await open('a');
    const all = submit(2);
    repeatable.add(all[0]!);
    sender.stop();
    sender.takeBackLost([queue], publishStream.inFlight.clear(), publishStream, UNTOUCHED);
    expect(ended.map(([pending]) => pending)).toEqual(all);
  });
});

describe('a broker that may not lead the partition yet', () => {
  const notLeading = () => errorFromStatus('FetchPartitionMetadata', { code: 9, details: 'not the leader' });
  const notKnown = () => errorFromStatus('FetchPartitionMetadata', { code: 5, details: 'partition not found' });
  const noAnswer = () => errorFromStatus('FetchPartitionMetadata', { code: 4, details: 'late' });

  /** A queue whose connection was lost, a broker with this response to the check, and a publish that waits. */
  async function waiting(denial: (() => Error) | null): Promise<PublishStream<PendingPublish>> {
    const publishStream = await open('a');
    if (denial !== null) cluster.denials.set('a', denial);
    queue.beginTrouble();
    submit(1);
    return publishStream;
  }

  it('is checked first, and gets no publish until it leads', async () => {
    await waiting(notLeading);
    await pass(1_000);
    expect(written).toEqual([]);
    expect(cluster.asked.length).toBeGreaterThan(20);
    cluster.denials.clear();
    await pass(50);
    expect(written).toEqual(['0 a']);
  });

  it('is checked once while it leads', async () => {
    await waiting(null);
    submit(5);
    await pass(450);
    expect(written).toHaveLength(5);
    expect(cluster.asked).toEqual(['a']);
  });

  it('gets a publish after two seconds of denial, since that resumes a paused partition', async () => {
    await waiting(notLeading);
    await pass(1_999);
    expect(written).toEqual([]);
    await pass(51);
    expect(written).toEqual(['0 a']);
  });

  it('gets a publish at once when the partition is known to be paused', async () => {
    cluster.paused = true;
    await waiting(notLeading);
    await settle();
    expect(written).toEqual(['0 a']);
    expect(cluster.asked).toHaveLength(1);
  });

  it('gets a publish when it does not respond to the check', async () => {
    await waiting(noAnswer);
    await settle();
    expect(written).toEqual(['0 a']);
  });

  it('gets no publish while it does not know the partition, and the existence of the stream is checked', async () => {
    await waiting(notKnown);
    await pass(10_000);
    expect(written).toEqual([]);
    expect(doubts).toBeGreaterThan(10);
    cluster.denials.set('a', notLeading);
    await pass(1_000);
    expect(written).toEqual([]);
    cluster.denials.clear();
    await pass(50);
    expect(written).toEqual(['0 a']);
  });

  it('is checked again after it has refused a publish', async () => {
    cluster.ids = ['a'];
    await open('a');
    const [one] = submit(1);
    expect(cluster.asked).toEqual([]);
    refuse(one!);
    cluster.denials.set('a', notLeading);
    await pass(500);
    expect(written).toEqual(['0 a']);
    cluster.denials.clear();
    await pass(50);
    expect(written).toEqual(['0 a', '0 a']);
    refuse(one!);
    cluster.denials.set('a', notLeading);
    await pass(500);
    expect(written).toHaveLength(2);
  });

  it('is not checked when publishes go through another broker', async () => {
    cluster.leaderId = null;
    await open('b');
    cluster.ids = ['b'];
    queue.beginTrouble();
    submit(1);
    await settle();
    expect([written, cluster.asked]).toEqual([['0 b'], []]);
  });

  it('is checked less often for each of many partitions', async () => {
    await waiting(notLeading);
    for (let partition = 1; partition < 400; partition++) {
      const other = new PartitionQueue('orders', partition);
      other.beginTrouble();
      sender.submit(other, publish({}, other));
    }
    const warned: string[] = [];
    const warn = ({ name }: Error) => warned.push(name);
    process.on('warning', warn);
    await pass(1_000);
    process.off('warning', warn);
    expect(cluster.asked.length).toBeLessThan(400 * 7);
    expect(cluster.asked.length).toBeGreaterThan(400 * 3);
    // All checks share one signal.
    expect(warned).toEqual([]);
  });

  it('is no longer checked once nothing waits, or the sender has stopped', async () => {
    await waiting(notLeading);
    await pass(100);
    queue.waiting.clear();
    await pass(100);
    const { length } = cluster.asked;
    await pass(1_000);
    expect(cluster.asked).toHaveLength(length);
    submit(1);
    await pass(100);
    sender.stop();
    await settle();
    const stopped = cluster.asked.length;
    await pass(1_000);
    expect(cluster.asked).toHaveLength(stopped);
  });
});

describe('probes', () => {
  async function troubled(): Promise<void> {
    const publishStream = await open('a');
    queue.beginTrouble();
    queue.checked = publishStream;
  }

  it('are sent every 100 ms until one is acknowledged', async () => {
    await troubled();
    const all = submit(10);
    expect(written).toEqual(['0 a']);
    await pass(99);
    expect(written).toEqual(['0 a']);
    await pass(1);
    expect(written).toEqual(['0 a', '1 a']);
    acknowledge(all[1]!);
    await pass(1);
    expect(written).toHaveLength(10);
    // A leader acknowledges in order: a publish that it has skipped was lost.
    expect(ended).toEqual([[all[0], 'CONNECTION']]);
  });

  it('are neither given up nor ended by an ack of all replicas', async () => {
    await troubled();
    const [slow] = submit(1, { ackPolicy: AckPolicy.ALL });
    const [prompt] = submit(1);
    await pass(100);
    expect(written).toEqual(['0 a', '1 a']);
    acknowledge(prompt!);
    await pass(1);
    expect(ended).toEqual([]);
    acknowledge(slow!);
  });

  it('have a quarter of a second for their acks', async () => {
    await troubled();
    submit(1, { deadline: performance.now() + 249 });
    submit(1, { deadline: performance.now() + 250 });
    expect(written).toEqual(['1 a']);
  });

  it('neither delay publishes without acks nor are delayed by them', async () => {
    await troubled();
    vi.spyOn(publishStreams.to(target('a')), 'writeUnacknowledged').mockImplementation(() => void written.push('none'));
    submit(1);
    submit(3, { ackPolicy: AckPolicy.NONE });
    expect(written).toEqual(['0 a', 'none', 'none', 'none']);
  });

  it('let sixteen publishes with acks of all replicas pass when the queue has others with acks of the leader', async () => {
    await troubled();
    submit(1);
    submit(20, { ackPolicy: AckPolicy.ALL });
    expect(written).toHaveLength(17);
    await pass(100);
    expect(written).toHaveLength(21);
  });

  it('are publishes with acks of all replicas when there are no others', async () => {
    await troubled();
    submit(3, { ackPolicy: AckPolicy.ALL });
    expect(written).toHaveLength(1);
    await pass(100);
    expect(written).toHaveLength(2);
  });

  it('begin when a publish times out without a response, and the connection is checked', async () => {
    const publishStream = await open('a');
    const check = vi.spyOn(publishStream, 'checkLiveness').mockReturnValue();
    const [one, two] = submit(2);
    acknowledge(two!);
    sender.recordTimeout(one!);
    expect(check).not.toHaveBeenCalled();
    expect(queue.trouble).toBeNull();
    const [three] = submit(1);
    sender.recordTimeout(three!);
    expect(check).toHaveBeenCalledTimes(1);
    expect(queue.trouble).not.toBeNull();
  });

  it('do not begin when a publish times out that was not sent', async () => {
    const publishStream = await open('a');
    const check = vi.spyOn(publishStream, 'checkLiveness').mockReturnValue();
    cluster.stream('a').writable = false;
    const [waiting] = submit(1);
    sender.recordTimeout(waiting!);
    sender.recordTimeout(publish());
    expect([check.mock.calls.length, queue.trouble]).toEqual([0, null]);
  });

  it('begin when acks stop, and a search for the leader starts', async () => {
    const publishStream = await open('a');
    const check = vi.spyOn(publishStream, 'checkLiveness').mockReturnValue();
    submit(1);
    await pass(1_250);
    expect([check.mock.calls.length, searches]).toEqual([1, 1]);
    expect(queue.trouble).not.toBeNull();
  });

  it('do not begin when only acks of all replicas are missing', async () => {
    await open('a');
    submit(1, { ackPolicy: AckPolicy.ALL });
    await pass(1_250);
    expect(searches).toBe(1);
    expect(queue.trouble).toBeNull();
  });
});

describe('a partition that changes to another leader', () => {
  function change(id: string): void {
    cluster.leaderId = id;
    cluster.version++;
  }

  it('changes at once when nothing is in flight', async () => {
    await open('a');
    await open('b');
    acknowledge(submit(1)[0]!);
    change('b');
    submit(1);
    await settle();
    expect(written).toEqual(['0 a', '1 b']);
    expect(cluster.asked).toEqual(['b']);
    expect(queue.version).toBe(cluster.version);
  });

  it('waits for the acks of the publishes in flight', async () => {
    await open('a');
    await open('b');
    const [one] = submit(1);
    change('b');
    submit(1);
    expect(written).toEqual(['0 a']);
    await pass(100);
    acknowledge(one!);
    await settle();
    expect(written).toEqual(['0 a', '1 b']);
    expect(ended).toEqual([]);
  });

  it('keeps its broker for a while when acks of the leader come late, and tries again after five seconds', async () => {
    await open('a');
    await open('b');
    submit(1);
    change('b');
    submit(1);
    await pass(499);
    expect(written).toEqual(['0 a']);
    queue.responses++;
    await pass(1);
    expect(written).toEqual(['0 a', '1 a']);
    expect([queue.detour, ended]).toEqual([true, []]);
    const answered = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 250) {
        queue.responses++;
        await pass(250);
      }
    };
    await answered(4_750);
    submit(1);
    expect(written).toEqual(['0 a', '1 a', '2 a']);
    await answered(250);
    submit(1);
    expect(written).toHaveLength(3);
    await answered(500);
    expect(written).toEqual(['0 a', '1 a', '2 a', '3 a']);
  });

  it('does not wait for acks of all replicas', async () => {
    await open('a');
    await open('b');
    submit(1, { ackPolicy: AckPolicy.ALL });
    change('b');
    submit(1);
    expect(written).toEqual(['0 a', '1 a']);
    expect(queue.detour).toBe(true);
  });

  it('decides as soon as only acks of all replicas are missing', async () => {
    await open('a');
    await open('b');
    const [prompt] = submit(1);
    submit(1, { ackPolicy: AckPolicy.ALL });
    change('b');
    submit(1);
    expect(written).toEqual(['0 a', '1 a']);
    acknowledge(prompt!);
    expect(written).toEqual(['0 a', '1 a', '2 a']);
  });

  it('waits on while acks of the leader are missing', async () => {
    await open('a');
    await open('b');
    const [one] = submit(2);
    change('b');
    submit(1);
    acknowledge(one!);
    expect(written).toEqual(['0 a', '1 a']);
  });

  it('gives up the publishes in flight after 200 ms when acks have stopped', async () => {
    await open('a');
    await open('b');
    const [one] = submit(1);
    queue.beginTrouble();
    change('b');
    submit(1);
    await pass(199);
    expect(ended).toEqual([]);
    await pass(1);
    expect(ended).toEqual([[one, 'CONNECTION']]);
    expect(written).toEqual(['0 a', '1 b']);
  });

  it('gives them up too when nothing waits, since lost publishes may fill maxInFlight', async () => {
    await open('a');
    await open('b');
    const [one] = submit(1);
    change('b');
    sender.pump(queue);
    await pass(200);
    expect([ended, queue.leaveAt]).toEqual([[], null]);
    queue.beginTrouble();
    sender.pump(queue);
    await pass(200);
    expect(ended).toEqual([[one, 'CONNECTION']]);
  });

  it('opens no stream for a queue that has nothing to send', async () => {
    await open('a');
    acknowledge(submit(1)[0]!);
    change('b');
    sender.pump(queue);
    queue.beginTrouble();
    sender.pump(queue);
    await settle();
    expect([...cluster.sessions.keys()]).toEqual(['a']);
  });

  it('gives up the publishes in flight on a retired connection after two seconds', async () => {
    await open('a');
    await open('b');
    const [one] = submit(1);
    cluster.stream('a').writable = false;
    change('b');
    submit(1);
    await pass(999);
    queue.responses++;
    await pass(1_000);
    expect(ended).toEqual([]);
    await pass(1);
    expect(ended).toEqual([[one, 'CONNECTION']]);
    expect(written).toEqual(['0 a', '1 b']);
  });

  it('begins with probes through a broker that is not the leader', async () => {
    await open('a');
    await open('b');
    acknowledge(submit(1)[0]!);
    cluster.leaderId = null;
    cluster.version++;
    cluster.stream('a').writable = false;
    submit(3);
    expect(written).toEqual(['0 a', '1 b']);
    expect([queue.detour, queue.trouble !== null]).toEqual([true, true]);
  });
});
