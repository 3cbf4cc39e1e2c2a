import { ActivityPublisher } from '../activity/activity-publisher.js';
import type { BrokerNode } from '../cluster/contract.js';
import { CursorStore } from '../cursors/cursor-store.js';
import { type Authorize, createAuthorize } from '../grpc/authorization.js';
import { API_SERVICE, HEALTH_SERVICE, Health } from '../grpc/health.js';
import type { Method, Services } from '../grpc/service.js';
import { cursorMethods } from './cursors.js';
import { groupMethods, startLiveness } from './groups.js';
import { metadataMethods } from './metadata.js';
import { publishMethods } from './publish.js';
import { publishAsyncMethods } from './publish-async.js';
import { publishToSubjectMethods } from './publish-subject.js';
import { streamMethods } from './streams.js';
import { subscribeMethods } from './subscribe.js';

/** The services of a broker, with its background work. */
export interface BrokerServices extends Services {
  /** The health service. */
  readonly health: Health;
  /** Ends the liveness timers, the activity publisher and all other background work. */
  stop(): void;
}

/**
 * The `proto.API` service of a broker, and the health service. Throws BrokerOptionError when authorization is enabled
 * and its policy cannot be read.
 */
export function createServices(
  node: BrokerNode,
  authorize: Authorize = createAuthorize(node.settings),
): BrokerServices {
  const liveness = startLiveness(node);
  const cursors = new CursorStore(node, authorize);
  const activity = node.settings['activity.stream.enabled'] ? new ActivityPublisher(node, authorize) : null;
  const methods: Record<string, Method> = {
    ...streamMethods(node, authorize),
    ...publishMethods(node, authorize),
    ...publishAsyncMethods(node, authorize),
    ...publishToSubjectMethods(node, authorize),
    ...subscribeMethods(node, authorize),
    ...metadataMethods(node, authorize),
    ...cursorMethods(cursors, authorize),
    ...groupMethods(node, liveness),
  };
  const health = new Health();
  const services: Services = new Map([
    [API_SERVICE, new Map(Object.entries(methods))],
    [HEALTH_SERVICE, health.methods],
  ]);
  return Object.assign(services, {
    health,
    stop() {
      liveness.stop();
      cursors.stop();
      activity?.stop();
    },
  });
}
