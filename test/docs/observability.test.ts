import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EVENT_NAMES } from '../../src/cluster/events.js';

describe('the table of events', () => {
  it('has every event of a client', () => {
    const [, section] = /^## Events\n([\s\S]*?)^## /m.exec(readFileSync('docs/observability.md', 'utf8'))!;
    const documented = [...section!.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name!);
    expect(documented.toSorted()).toEqual([...EVENT_NAMES].sort());
  });

  it('agrees with the table of diagnostics channels, field by field', () => {
    const [, section] = /^## Events\n([\s\S]*?)^## /m.exec(readFileSync('docs/observability.md', 'utf8'))!;
    const fields = (cell: string): string[] => [...cell.matchAll(/`(\w+)`/g)].map(([, field]) => field!);
    const events = new Map(
      [...section!.matchAll(/^\| `(\w+)` \|[^|]*\|([^|]*)\|$/gm)].map(([, name, cell]) => [name!, fields(cell!)]),
    );
    const source = readFileSync('src/diagnostics.ts', 'utf8');
    const channels = new Map(
      [...source.matchAll(/^ \* \| `liftbridge:(\w+)` \|[^|]*\|([^|]*)\|$/gm)].map(([, name, cell]) => [
        name!,
        fields(cell!),
      ]),
    );
    channels.set('metadata', []); // the event is the snapshot itself
    channels.set('asyncError', []); // the event is the error itself
    expect(events).toEqual(channels);
  });
});
