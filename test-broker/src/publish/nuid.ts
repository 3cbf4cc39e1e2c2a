import { randomInt } from 'node:crypto';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const LENGTH = 22;

/** A unique name: 22 characters, as NATS makes them. */
export function nuid(): string {
  let id = '';
  while (id.length < LENGTH) id += DIGITS[randomInt(DIGITS.length)];
  return id;
}
