import { RpcError } from '../grpc/status.js';
import { BusError } from '../nats/bus.js';

/** Calls the bus. Turns its refusal into UNKNOWN, with a text that starts with `what`. */
export function orUnknown<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof BusError) throw new RpcError('UNKNOWN', `${what}: ${error.message}`);
    throw error;
  }
}
