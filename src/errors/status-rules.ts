import { InvalidArgumentError, TimeoutError } from './error-classes.js';
import { GENERAL_RULES } from './rules/general.js';
import { GROUP_RULES } from './rules/groups.js';
import { PUBLISH_RULES } from './rules/publishing.js';
import { READ_RULES } from './rules/reading.js';
import { STREAM_RULES } from './rules/streams.js';
import { noLeader, plain, type StatusRule, server } from './status-rule.js';

/** Calls that only the leader of a partition serves. */
const LEADER_RULES: readonly StatusRule[] = [
  {
    on: ['FetchPartitionMetadata', 'SetCursor', 'FetchCursor', 'Subscribe'],
    status: 'FAILED_PRECONDITION',
    meaning: 'not-leader',
    build: noLeader,
    advice: 'The partition may be paused, or its leadership is moving: try again in a moment.',
  },
];

/** What no other rule fits. The last rule fits everything. */
const REMAINING_RULES: readonly StatusRule[] = [
  {
    status: 'INVALID_ARGUMENT',
    meaning: 'final',
    build: plain(InvalidArgumentError),
    advice: 'Correct the arguments.',
  },
  {
    status: 'DEADLINE_EXCEEDED',
    meaning: 'timeout',
    build: plain(TimeoutError),
    advice: 'It may have been carried out. Raise the timeout or check the broker.',
  },
  { status: '*', meaning: 'final', build: server, advice: 'See the log of the broker.' },
];

/** The one table from (operation, status, text) to a meaning and an error class. The first rule that fits counts. */
export const STATUS_RULES: readonly StatusRule[] = [
  ...GENERAL_RULES,
  ...STREAM_RULES,
  ...PUBLISH_RULES,
  ...READ_RULES,
  ...LEADER_RULES,
  ...GROUP_RULES,
  ...REMAINING_RULES,
];
