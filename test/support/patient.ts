import type { ClientOptions } from 'liftbridge-client';

/** Limits of a client that a slow machine does not reach. */
export const PATIENT: ClientOptions = { connectTimeout: 60_000, ackTimeout: 60_000 };
