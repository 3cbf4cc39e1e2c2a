import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One envelope written, or judged, by the Go client and server. */
export interface EnvelopeVector {
  readonly name: string;
  readonly hex: string;
  readonly kind?: 'message' | 'ack';
  readonly as?: 'message' | 'ack';
  readonly category?: string;
  readonly input?: Readonly<Record<string, unknown>>;
  readonly decoded?: Readonly<Record<string, unknown>>;
  readonly server?: 'ok' | 'refused';
  readonly client?: 'ok' | 'refused';
}

export type EnvelopeGroup = 'publish' | 'fullMessages' | 'acks' | 'crc' | 'oddButDecided' | 'multiHeader' | 'invalid';
export type EnvelopeVectors = Readonly<Record<EnvelopeGroup, readonly EnvelopeVector[]>>;

const read = (path: string): EnvelopeVectors => JSON.parse(readFileSync(path, 'utf8')) as EnvelopeVectors;
const at = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** All but the largest, kept with the tests. */
export const vectors = read(at('test/fixtures/envelopes.json'));

const wholePath = at('../shared/vectors/envelopes.json');
/** The file that the fixture was cut from, where it is at hand. */
export const wholeVectors = existsSync(wholePath) ? read(wholePath) : null;

export const bytes = (vector: EnvelopeVector): Buffer => Buffer.from(vector.hex, 'hex');
