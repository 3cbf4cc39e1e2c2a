import { acks } from './acks.js';
import { callArguments } from './arguments.js';
import { broker } from './broker.js';
import { codecs, envelopes, frames } from './bytes.js';
import { servers } from './servers.js';
import type { FuzzTarget } from './target.js';

/** All targets of `npm run fuzz`. */
export const TARGETS: readonly FuzzTarget[] = [envelopes, frames, codecs, acks, callArguments, broker, servers];
