import { readFileSync } from 'node:fs';
import { quoted } from 'liftbridge-client/protocol';
import { BrokerOptionError } from '../option-error.js';
import type { PolicyRule } from '../setting-rules.js';
import type { Settings } from '../settings.js';
import type { Call } from './service.js';
import { RpcError } from './status.js';

/**
 * Lets a call through or throws RpcError UNKNOWN, as the server does: `api: Failed to retrieve client ID` without a
 * verified certificate, `The client is not authorized to call <method> on resource <resource>` for what no rule allows.
 */
export type Authorize = (call: Pick<Call, 'identity'>, resource: string, method: string) => void;

/** Lets everything through: authorisation is off. */
export const allowAll: Authorize = () => {};

/** The access policy of one broker, which can be read again while it serves. */
export class AccessPolicy {
  readonly #settings: Settings;
  #current: Authorize;

  /** Reads the policy that the settings ask for. Throws BrokerOptionError as `createAuthorize` does. */
  constructor(settings: Settings) {
    this.#settings = settings;
    this.#current = createAuthorize(settings);
  }

  /** Decides by the policy as it was read last. */
  readonly authorize: Authorize = (call, resource, method) => this.#current(call, resource, method);

  /** Reads the policy again. Throws BrokerOptionError, and keeps the one of before, when it cannot be read. */
  reload(): void {
    this.#current = createAuthorize(this.#settings);
  }
}

/**
 * The policy that the settings ask for: triples of identity, resource and RPC that must match exactly, everything else
 * is denied. A path names a CSV file of lines `p, identity, resource, rpc`. Throws BrokerOptionError when the policy is
 * missing or cannot be read.
 */
export function createAuthorize(settings: Settings): Authorize {
  if (!settings['tls.client.authz.enabled']) return allowAll;
  const policy = settings['tls.client.authz.policy'];
  if (policy === null)
    throw new BrokerOptionError(
      'tls.client.authz.policy',
      policy,
      'setting tls.client.authz.enabled needs tls.client.authz.policy, a CSV file or an array of [identity, resource, rpc]',
    );
  return authorizeBy(typeof policy === 'string' ? readPolicy(policy) : policy);
}

/** Allows exactly what the rules name. */
export function authorizeBy(rules: Iterable<PolicyRule>): Authorize {
  const allowed = new Set<string>();
  for (const rule of rules) allowed.add(JSON.stringify(rule));
  return (call, resource, method) => {
    if (call.identity === null) throw new RpcError('UNKNOWN', 'api: Failed to retrieve client ID');
    if (allowed.has(JSON.stringify([call.identity, resource, method]))) return;
    throw new RpcError('UNKNOWN', deniedText(resource, method));
  };
}

/** What a client is told that may not make a call. */
function deniedText(resource: string, method: string): string {
  return `The client is not authorized to call ${method} on resource ${resource}`;
}

function readPolicy(path: string): PolicyRule[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BrokerOptionError(
      'tls.client.authz.policy',
      path,
      `cannot read tls.client.authz.policy ${quoted(path)}: ${reason}`,
      { cause: error },
    );
  }
  return text.split(/\r?\n/).flatMap((line, index) => parseLine(path, line, index + 1));
}

function parseLine(path: string, line: string, number: number): PolicyRule[] {
  if (line.trim() === '' || line.trimStart().startsWith('#')) return [];
  const [kind, identity, resource, rpc, ...rest] = line.split(',').map((part) => part.trim());
  if (kind === 'p' && identity && resource && rpc && rest.length === 0) return [[identity, resource, rpc]];
  throw new BrokerOptionError(
    'tls.client.authz.policy',
    line,
    `expected line ${number} of ${quoted(path)} to be "p, identity, resource, rpc", got ${quoted(line)}`,
  );
}
