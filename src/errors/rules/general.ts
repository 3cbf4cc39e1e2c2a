import { MessageTooLargeError, PermissionDeniedError } from '../error-classes.js';
import { WITHOUT_NATS } from '../server-texts.js';
import { plain, type StatusRule, serverLater, unavailable } from '../status-rule.js';

/** Statuses that mean the same for every RPC. */
export const GENERAL_RULES: readonly StatusRule[] = [
  {
    status: 'UNKNOWN',
    text: /not authorized|Failed to retrieve client ID/,
    meaning: 'final',
    build: plain(PermissionDeniedError),
    advice: "Grant it in the server's authorization policy, or use another client certificate.",
  },
  {
    status: 'INTERNAL',
    text: /not authorized/,
    meaning: 'final',
    build: plain(PermissionDeniedError),
    advice: "Grant it in the server's authorization policy, or use another client certificate.",
  },
  {
    status: 'PERMISSION_DENIED',
    meaning: 'final',
    build: plain(PermissionDeniedError),
    advice: 'Grant it to this client.',
  },
  {
    status: 'UNAUTHENTICATED',
    meaning: 'final',
    build: plain(PermissionDeniedError),
    advice: 'Check the credentials in the metadata or tls option.',
  },
  {
    status: 'UNAVAILABLE',
    meaning: 'unavailable',
    build: unavailable,
    advice: 'Check that the broker runs and is reachable, then try again.',
  },
  {
    // The caller's own cancellation is never looked up here: it rejects with the reason of its signal.
    status: 'CANCELLED',
    meaning: 'unavailable',
    build: unavailable,
    advice: 'The broker or a proxy cancelled the call without being asked: try again.',
  },
  {
    status: 'RESOURCE_EXHAUSTED',
    text: /larger than (the )?max/,
    meaning: 'final',
    build: plain(MessageTooLargeError),
    advice: 'Make it smaller: gRPC takes 4 MiB, NATS and replication 1 MiB unless configured otherwise.',
  },
  {
    // A group is created with FAILED_PRECONDITION in the place of INTERNAL.
    status: '*',
    text: /no known metadata leader|no responders available|node is not the leader/,
    meaning: 'election',
    build: serverLater,
    advice: 'The cluster is electing a metadata leader: try again in a moment.',
  },
  {
    status: '*',
    text: /leadership lost|raft operation timed out/,
    meaning: 'unavailable',
    build: serverLater,
    advice: 'The metadata leader has changed, and the call may have been carried out: try again in a moment.',
  },
  {
    status: 'INTERNAL',
    text: WITHOUT_NATS,
    meaning: 'election',
    build: serverLater,
    advice: 'The broker has lost its connection to NATS: try again when NATS is back.',
  },
  {
    on: ['Publish', 'PublishToSubject'],
    status: 'UNKNOWN',
    text: WITHOUT_NATS,
    meaning: 'election',
    build: serverLater,
    advice: 'The broker has lost its connection to NATS, so nothing was stored: try again when NATS is back.',
  },
];
