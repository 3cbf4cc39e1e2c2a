import { readFileSync } from 'node:fs';
import { quoted } from 'liftbridge-client/protocol';
import { BrokerOptionError } from './option-error.js';

/** Whether a value is a string or bytes with a certificate or key in PEM. */
export function isPem(value: unknown): boolean {
  if (value instanceof Uint8Array) return Buffer.from(value).includes('-----BEGIN ');
  return typeof value === 'string' && value.includes('-----BEGIN ');
}

/** The text of a PEM file. Throws BrokerOptionError when it cannot be read or holds no PEM. */
export function readPem(option: string, path: string): string {
  let pem: string;
  try {
    pem = readFileSync(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BrokerOptionError(option, path, `cannot read ${option} ${quoted(path)}: ${reason}`, {
      cause: error,
    });
  }
  if (!isPem(pem)) throw new BrokerOptionError(option, path, `${option} ${quoted(path)} does not contain PEM`);
  return pem;
}
