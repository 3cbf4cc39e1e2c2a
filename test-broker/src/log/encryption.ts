import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { EncryptionError } from './log-error.js';

/** The initial value of AES key wrap with padding, RFC 5649 section 3. */
const WRAP_START = Buffer.from('A65959A6', 'hex');
const DATA_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const DATA_CIPHER = 'aes-256-gcm';

/**
 * Encrypts each value with its own data key, which the master key wraps. The stored format is one byte with the length
 * of the wrapped key, the wrapped key (AES key wrap with padding), a nonce of 12 bytes, AES-256-GCM ciphertext and its
 * tag.
 */
export class ValueEncryption {
  readonly #masterKey: Buffer;
  readonly #wrapCipher: string;

  /**
   * `masterKey`: 16 or 32 bytes, in the form of the environment variable LIFTBRIDGE_ENCRYPTION_KEY. Throws
   * EncryptionError with the server's text for another length.
   */
  constructor(masterKey: string | Uint8Array) {
    this.#masterKey = Buffer.from(masterKey);
    const size = this.#masterKey.length;
    if (size !== 16 && size !== 32) {
      throw new EncryptionError(`kwp: invalid AES key size; want 16 or 32, got ${size}`);
    }
    this.#wrapCipher = `id-aes${8 * size}-wrap-pad`;
  }

  /** Encrypts a value. A missing value is encrypted as an empty one. */
  seal(value: Uint8Array | null): Buffer {
    const dataKey = randomBytes(DATA_KEY_BYTES);
    const nonce = randomBytes(NONCE_BYTES);
    const wrap = createCipheriv(this.#wrapCipher, this.#masterKey, WRAP_START);
    const wrapped = Buffer.concat([wrap.update(dataKey), wrap.final()]);
    const cipher = createCipheriv(DATA_CIPHER, dataKey, nonce);
    const body = Buffer.concat([cipher.update(value ?? Buffer.alloc(0)), cipher.final()]);
    return Buffer.concat([Buffer.from([wrapped.length]), wrapped, nonce, body, cipher.getAuthTag()]);
  }

  /** Decrypts a value. Throws EncryptionError for another key or changed bytes. */
  open(stored: Uint8Array | null): Buffer {
    const bytes = Buffer.from(stored ?? []);
    const keyEnd = 1 + (bytes[0] ?? 0);
    const bodyStart = keyEnd + NONCE_BYTES;
    const bodyEnd = bytes.length - TAG_BYTES;
    if (bytes.length === 0 || bodyEnd < bodyStart) throw new EncryptionError('ciphertext is too short');
    try {
      const decipher = createDecipheriv(
        DATA_CIPHER,
        this.#unwrap(bytes.subarray(1, keyEnd)),
        bytes.subarray(keyEnd, bodyStart),
      );
      decipher.setAuthTag(bytes.subarray(bodyEnd));
      return Buffer.concat([decipher.update(bytes.subarray(bodyStart, bodyEnd)), decipher.final()]);
    } catch (cause) {
      throw new EncryptionError('failed to decrypt message value', { cause });
    }
  }

  #unwrap(wrapped: Buffer): Buffer {
    const unwrap = createDecipheriv(this.#wrapCipher, this.#masterKey, WRAP_START);
    return Buffer.concat([unwrap.update(wrapped), unwrap.final()]);
  }
}
