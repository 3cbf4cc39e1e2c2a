import { describe, expect, it } from 'vitest';
import { boundsUntil } from '../../../src/async/deadline.js';
import type { Existence } from '../../../src/cluster/existence.js';
import { findStream, hasEnded } from '../../../src/cluster/until-certain.js';

const UNBOUNDED = boundsUntil(Number.POSITIVE_INFINITY, undefined);

/** A cluster that decides in this order, and whose cache has `count` partitions of the stream. */
function clusterThatSays(...answers: (Existence | { readonly known: Existence })[]) {
  const cluster = {
    count: 0,
    refreshed: 0,
    refreshBrings: 0,
    partitionCount: () => cluster.count,
    refresh: async () => {
      cluster.refreshed++;
      cluster.count = cluster.refreshBrings;
    },
    existence: async () => {
      const answer = answers.shift()!;
      if (typeof answer === 'string') return answer;
      cluster.count = 3;
      return answer.known;
    },
  };
  return cluster;
}

describe('findStream', () => {
  it('asks for nothing when the cache knows the stream', async () => {
    const cluster = clusterThatSays();
    cluster.count = 1;
    expect(await findStream(cluster, 's', UNBOUNDED)).toBe('present');
    expect(cluster.refreshed).toBe(0);
  });

  it.each(['present', 'replaced'] as const)('finds a stream that is %s', async (known) => {
    const cluster = clusterThatSays({ known });
    expect(await findStream(cluster, 's', UNBOUNDED)).toBe('present');
    expect(cluster.refreshed).toBe(0);
  });

  it('returns gone as soon as that is certain', async () => {
    expect(await findStream(clusterThatSays('unsure', 'gone'), 's', UNBOUNDED)).toBe('gone');
  });

  it('returns unsure when the time is up', async () => {
    expect(await findStream(clusterThatSays('unsure'), 's', boundsUntil(0, undefined))).toBe('unsure');
  });

  it('refreshes the cache when another answer has replaced the stream that was found', async () => {
    const cluster = clusterThatSays('present');
    cluster.refreshBrings = 2;
    expect(await findStream(cluster, 's', UNBOUNDED)).toBe('present');
    expect(cluster.refreshed).toBe(1);
  });

  it('decides again when the refreshed cache still lacks the stream', async () => {
    const cluster = clusterThatSays('present', 'gone');
    expect(await findStream(cluster, 's', UNBOUNDED)).toBe('gone');
    expect(cluster.refreshed).toBe(1);
  });
});

describe('hasEnded', () => {
  it('is true of a stream that is gone and of one whose name another stream has', () => {
    const all: Existence[] = ['present', 'replaced', 'gone', 'unsure'];
    expect(all.filter(hasEnded)).toEqual(['replaced', 'gone']);
  });
});
