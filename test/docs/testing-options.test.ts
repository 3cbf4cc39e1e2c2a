import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { USAGE } from '../../test-broker/src/cli-options.js';
import { type ResolvedOptions, resolveOptions } from '../../test-broker/src/options.js';

const page = readFileSync('docs/testing.md', 'utf8');
const [, section] = /^## Options\n([\s\S]*?)^## /m.exec(page)!;

/** Option and default of each row of the table. */
const documented = new Map(
  [...section!.matchAll(/^\| `([\w.]+)` \| ([^|]+) \|/gm)].map(([, option, value]) => [
    option!,
    value!.trim().replaceAll('`', ''),
  ]),
);

/** The options of an interface; nested ones have names like `groups.consumerTimeout`. */
function optionsOf(name: string): string[] {
  const source = readFileSync('test-broker/src/options.ts', 'utf8');
  const [, body] = new RegExp(`^export interface ${name} \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(source)!;
  let outer = '';
  return [...body!.matchAll(/^( {2}| {4})readonly (\w+)\??: ?(\{?)/gm)].flatMap(([, indent, option, opens]) => {
    if (indent!.length > 2) return [`${outer}.${option}`];
    outer = option!;
    return opens === '{' ? [] : [option!];
  });
}

/** The default in the docstring of an option. */
function documentedInCode(option: string): string {
  const source = readFileSync('test-broker/src/options.ts', 'utf8');
  const declared = source.search(new RegExp(`^ +readonly ${option.split('.').at(-1)}\\??:`, 'm'));
  const comment = source.slice(source.lastIndexOf('/**', declared), declared);
  // "Default: memory only." describes the behaviour without a value.
  return /Default `?([\d.,]*\d|\w+)/.exec(comment)?.[1] ?? 'none';
}

/** The options of a broker that is started without any option. */
function defaults({ settings, ...options }: ResolvedOptions): Record<string, unknown> {
  return {
    ...options,
    cursorsPartitions: settings['cursors.stream.partitions'],
    activityStream: settings['activity.stream.enabled'],
    'groups.consumerTimeout': settings['groups.consumer.timeout'],
    'groups.coordinatorTimeout': settings['groups.coordinator.timeout'],
    settings: {},
  };
}

function show(value: unknown): string {
  if (value === null) return 'none';
  return typeof value === 'number' ? value.toLocaleString('en-US') : JSON.stringify(value).replaceAll('"', "'");
}

describe('the options that docs/testing.md lists', () => {
  it('are those of TestBroker.start, in order', () => {
    const options = optionsOf('TestBrokerOptions').flatMap((option) => {
      if (option === 'tls') return optionsOf('BrokerTlsOptions').map((name) => `tls.${name}`);
      return option;
    });
    expect(options.length).toBeGreaterThan(12);
    expect([...documented.keys()]).toEqual(options);
  });

  it.each([...documented])('%s has the default %s', (option, value) => {
    if (option !== 'settings') expect(value.replaceAll("'", '')).toBe(documentedInCode(option));
    const actual = defaults(resolveOptions())[option] ?? null;
    // Certificates belong to `tls`, and the default of `recoveryTime` depends on how the broker starts.
    if (option.startsWith('tls.') || option === 'recoveryTime') expect(actual).toBeNull();
    else expect(value).toBe(show(actual));
  });

  it('are separate from the options of the command, which --help lists', () => {
    const flags = [...USAGE.matchAll(/^ {2}(--[\w-]+)/gm)].map(([, flag]) => flag!);
    expect(flags.length).toBeGreaterThan(15);
    const shell = page.slice(page.indexOf('## From the shell'));
    for (const flag of flags) expect(shell).toContain(`\`${flag}`);
  });
});
