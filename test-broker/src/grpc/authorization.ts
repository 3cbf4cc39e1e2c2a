import { readFileSync } from 'node:fs';
import { quoted } from 'liftbridge-client/protocol';
import { BrokerOptionError } from '../option-error.js';
import type { PolicyRule } from '../setting-rules.js';
import type { Settings } from '../settings.js';
import type { Call } from './service.js';
import { RpcError } from './status.js';

/**
 * Permits a call or throws RpcError UNKNOWN, as the server does: `api: Failed to retrieve client ID` without a verified
 * certificate, `The client is not authorized to call <method> on resource <resource>` for a call that no rule permits.
 */
export type Authorize = (call: Pick<Call, 'identity'>, resource: string, method: string) => void;

/** Permits every call: authorization is off. */
export const allowAll: Authorize = () => {};

/** The access policy of one broker; it can be reloaded while the broker serves. */
export class AccessPolicy {
  readonly #settings: Settings;
  #current: Authorize;

  /** Reads the policy that the settings ask for. Throws BrokerOptionError as `createAuthorize` does. */
  constructor(settings: Settings) {
    this.#settings = settings;
    this.#current = createAuthorize(settings);
  }

  /** Decides by the most recently read policy. */
  readonly authorize: Authorize = (call, resource, method) => this.#current(call, resource, method);

  /** Reads the policy again. Throws BrokerOptionError, and keeps the previous one, when it cannot be read. */
  reload(): void {
    this.#current = createAuthorize(this.#settings);
  }
}

/**
 * The policy of the settings: triples of identity, resource and RPC that must match exactly; every other call is
 * denied. A path names a CSV file of lines `p, identity, resource, rpc`. Throws BrokerOptionError when the policy is
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

/** Permits exactly the calls that the rules name. */
export function authorizeBy(rules: Iterable<PolicyRule>): Authorize {
  const allowed = new Set<string>();
  for (const rule of rules) allowed.add(JSON.stringify(rule));
  return (call, resource, method) => {
    if (call.identity === null) throw new RpcError('UNKNOWN', 'api: Failed to retrieve client ID');
    if (allowed.has(JSON.stringify([call.identity, resource, method]))) return;
    throw new RpcError('UNKNOWN', deniedText(resource, method));
  };
}

/** The error for a call that is not permitted. */
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
