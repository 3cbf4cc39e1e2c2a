/**
 * When a publish is acknowledged: once the leader has written it, once every in-sync replica has it, or never.
 * go-liftbridge: `AckPolicyLeader`, `AckPolicyAll`, `AckPolicyNone`.
 */
export type AckPolicy = 'leader' | 'all' | 'none';

/** The policies in the order of their numbers on the wire. */
export const ACK_POLICIES = Object.freeze(['leader', 'all', 'none'] as const) satisfies readonly AckPolicy[];

const codes = Object.freeze({ leader: 0, all: 1, none: 2 } as const);

/** The number of a policy on the wire. */
export function ackPolicyCode(policy: AckPolicy): 0 | 1 | 2 {
  return codes[policy];
}

/** The policy of a number on the wire. One that the protocol does not name is never acknowledged: 'none'. */
export function ackPolicyOf(code: number): AckPolicy {
  return ACK_POLICIES[code] ?? 'none';
}
