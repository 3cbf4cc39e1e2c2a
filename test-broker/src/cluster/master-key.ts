import { ValueEncryption } from '../log/encryption.js';
import { EncryptionError } from '../log/log-error.js';
import { BrokerOptionError } from '../option-error.js';
import type { Settings } from '../settings.js';

const VARIABLE = 'LIFTBRIDGE_ENCRYPTION_KEY';

/** Encryption with the key in the server's environment variable. Throws EncryptionError for an invalid key. */
export function masterKey(): ValueEncryption {
  return new ValueEncryption(process.env[VARIABLE] ?? '');
}

/**
 * Throws BrokerOptionError when every stream is encrypted and the environment has no key. The real server starts in
 * that case and crashes at the first stream.
 */
export function checkMasterKey(settings: Settings): void {
  if (!settings['streams.encryption']) return;
  try {
    masterKey();
  } catch (error) {
    if (!(error instanceof EncryptionError)) throw error;
    const text = `streams.encryption needs a key of 16 or 32 bytes in ${VARIABLE}: ${error.message}`;
    throw new BrokerOptionError('streams.encryption', true, text, { cause: error });
  }
}
