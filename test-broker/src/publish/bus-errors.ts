import { RpcError } from '../grpc/status.js';
import { BusError } from '../nats/bus.js';

/** Does something with the bus. What the bus refuses is thrown on as UNKNOWN, behind `what` failed. */
export function orUnknown<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof BusError) throw new RpcError('UNKNOWN', `${what}: ${error.message}`);
    throw error;
  }
}
