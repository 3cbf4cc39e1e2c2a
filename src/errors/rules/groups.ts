import { ConsumerExistsError } from '../error-classes.js';
import type { Operation } from '../operations.js';
import { plain, type StatusRule, server, serverLater } from '../status-rule.js';

const GROUP_POLLS: readonly Operation[] = ['FetchConsumerGroupAssignments', 'ReportConsumerGroupCoordinator'];
const GROUP_CALLS: readonly Operation[] = ['JoinConsumerGroup', 'LeaveConsumerGroup', ...GROUP_POLLS];

/** Consumer groups. */
export const GROUP_RULES: readonly StatusRule[] = [
  {
    on: GROUP_POLLS,
    status: 'FAILED_PRECONDITION',
    text: /not the consumer group coordinator/,
    meaning: 'not-leader',
    build: serverLater,
    advice: 'The coordinator of the group has changed: refresh metadata.',
  },
  {
    on: ['JoinConsumerGroup'],
    status: 'FAILED_PRECONDITION',
    text: /already a member/,
    meaning: 'already-member',
    build: plain(ConsumerExistsError),
    advice: 'Use another consumerId, or wait until the earlier member has left or expired.',
  },
  {
    on: ['JoinConsumerGroup'],
    status: 'FAILED_PRECONDITION',
    text: /group already exists/,
    meaning: 'recovering',
    build: serverLater,
    advice: 'Another member created the group at the same time: join again.',
  },
  {
    on: GROUP_CALLS,
    status: 'FAILED_PRECONDITION',
    text: /epoch differs|generation mismatch/,
    meaning: 'stale-epoch',
    build: serverLater,
    advice: 'The group has changed: ask its coordinator for the epoch.',
  },
  {
    on: GROUP_CALLS,
    status: 'FAILED_PRECONDITION',
    text: /not a member/,
    meaning: 'not-member',
    build: server,
    advice: 'The member has expired, or the broker has not applied its join yet.',
  },
  {
    on: GROUP_CALLS,
    status: '*',
    text: /consumer group does not exist|No such consumer group/,
    meaning: 'no-group',
    build: serverLater,
    advice: 'The last member has just left, or the broker is recovering: try again in a moment.',
  },
  {
    on: GROUP_POLLS,
    status: 'UNKNOWN',
    text: /no timer/,
    meaning: 'recovering',
    build: serverLater,
    advice: 'The coordinator is recovering: try again in a moment.',
  },
];
