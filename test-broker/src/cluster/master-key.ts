import { ValueEncryption } from '../log/encryption.js';

const VARIABLE = 'LIFTBRIDGE_ENCRYPTION_KEY';

/** Encryption with the key of the server's environment variable. Throws EncryptionError when it is none. */
export function masterKey(): ValueEncryption {
  return new ValueEncryption(process.env[VARIABLE] ?? '');
}
