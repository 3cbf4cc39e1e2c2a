import type { LiftbridgeError } from './error-classes.js';
import type { ErrorContext } from './error-details.js';
import { type Operation, statusName } from './operations.js';
import { excerpt, quoted } from './quote.js';
import type { StatusMeaning, StatusRule } from './status-rule.js';
import { STATUS_RULES } from './status-rules.js';

/** A gRPC status as it came. */
export interface RpcStatus {
  readonly code: number;
  readonly details: string;
}

function ruleFor(operation: Operation, { code, details }: RpcStatus): StatusRule {
  const name = statusName(code);
  for (const rule of STATUS_RULES) {
    if (rule.status !== '*' && rule.status !== name) continue;
    if (rule.on !== undefined && !rule.on.includes(operation)) continue;
    if (rule.text === undefined || rule.text.test(details)) return rule;
  }
  throw new RangeError('the last rule of the table fits everything');
}

/** What a status means for the decision whether and where to try again. */
export function statusMeaning(operation: Operation, status: RpcStatus): StatusMeaning {
  return ruleFor(operation, status).meaning;
}

const meanings = new WeakMap<LiftbridgeError, StatusMeaning>();

/** What the status behind an error means; undefined for an error that no status of a broker is behind. */
export function meaningOf(error: unknown): StatusMeaning | undefined {
  return meanings.get(error as LiftbridgeError);
}

/** The error for a status that an RPC ended with. `cause` defaults to the status itself. */
export function errorFromStatus(
  operation: Operation,
  status: RpcStatus,
  context: ErrorContext & { readonly cause?: unknown } = {},
): LiftbridgeError {
  const rule = ruleFor(operation, status);
  const name = statusName(status.code);
  const message = `${attempt(operation, context)} failed: ${excerpt(status.details) || 'no details'} (${name}). ${rule.advice}`;
  const error = rule.build(message, { operation, cause: status, ...context, status: name, text: status.details });
  meanings.set(error, rule.meaning);
  return error;
}

/** "CreateStream of stream "orders", partition 1 at broker b" and "Publish to stream "orders"": how messages begin. */
export function attempt(operation: string, context: ErrorContext): string {
  const parts: string[] = [];
  if (context.stream !== undefined) parts.push(`stream ${quoted(context.stream)}`);
  if (context.partition !== undefined) parts.push(`partition ${context.partition}`);
  const called = operation === 'PublishAsync' ? 'Publish' : operation;
  const preposition = called === 'Publish' ? 'to' : 'of';
  const target = parts.length > 0 ? ` ${preposition} ${parts.join(', ')}` : '';
  return context.broker === undefined
    ? `${called}${target}`
    : `${called}${target} at broker ${excerpt(context.broker)}`;
}
