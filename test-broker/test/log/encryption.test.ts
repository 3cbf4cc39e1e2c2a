import { createDecipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ValueEncryption } from '../../src/log/encryption.js';
import { ForwardReader } from '../../src/log/forward-reader.js';
import { EncryptionError } from '../../src/log/log-error.js';
import { ReverseReader } from '../../src/log/reverse-reader.js';
import { messages, openLog } from './log-fixture.js';

const KEY = '0123456789abcdef0123456789abcdef';

describe('ValueEncryption', () => {
  it.each([16, 32])('decrypts values that it encrypted with a key of %d bytes', (size) => {
    const encryption = new ValueEncryption(KEY.slice(0, size));
    for (const text of ['', 'x', 'some value', 'y'.repeat(100_000)]) {
      const sealed = encryption.seal(Buffer.from(text));
      expect(String(encryption.open(sealed))).toBe(text);
      expect(sealed.equals(encryption.seal(Buffer.from(text)))).toBe(false);
    }
    expect(encryption.open(encryption.seal(null))).toEqual(Buffer.alloc(0));
  });

  it.each([0, 5, 24, 33])('rejects a key of %d bytes with the error text of the server', (size) => {
    expect(() => new ValueEncryption(Buffer.alloc(size))).toThrow(
      new EncryptionError(`kwp: invalid AES key size; want 16 or 32, got ${size}`),
    );
  });

  it('stores length and bytes of the wrapped key, nonce, ciphertext and tag', () => {
    const sealed = new ValueEncryption(KEY).seal(Buffer.from('plain'));
    // A wrapped key of 32 bytes has 40 bytes.
    expect([sealed[0], sealed.length]).toEqual([40, 1 + 40 + 12 + 5 + 16]);
    const unwrap = createDecipheriv('id-aes256-wrap-pad', KEY, Buffer.from('a65959a6', 'hex'));
    const dataKey = Buffer.concat([unwrap.update(sealed.subarray(1, 41)), unwrap.final()]);
    const decipher = createDecipheriv('aes-256-gcm', dataKey, sealed.subarray(41, 53));
    decipher.setAuthTag(sealed.subarray(58));
    expect(String(Buffer.concat([decipher.update(sealed.subarray(53, 58)), decipher.final()]))).toBe('plain');
  });

  it('rejects bytes that were changed, truncated, or encrypted with another key', () => {
    const encryption = new ValueEncryption(KEY);
    const sealed = encryption.seal(Buffer.from('plain'));
    for (let i = 0; i < sealed.length; i++) {
      const changed = Buffer.from(sealed);
      changed[i]! ^= 1;
      expect(() => encryption.open(changed)).toThrow(EncryptionError);
      expect(() => encryption.open(sealed.subarray(0, i))).toThrow(EncryptionError);
    }
    expect(() => new ValueEncryption(KEY.slice(16)).open(sealed)).toThrow(EncryptionError);
  });
});

describe('an encrypted log', () => {
  const open = () => openLog({ config: { encryption: true }, encryption: new ValueEncryption(KEY) });

  it('stores only encrypted values, and readers receive the original value, key and headers', () => {
    const { log, add } = open();
    add({ key: 'key', value: 'secret value', headers: [['h', Buffer.from('1')]] });
    add({ value: '' });
    const stored = Buffer.concat(log.slice(0, 1e6).frames);
    expect([stored.includes('secret'), stored.includes('key')]).toEqual([false, true]);
    for (const frames of [
      log.read(0, 1, 1e6).frames,
      new ForwardReader(log, 0).read(1e6).frames,
      new ReverseReader(log, 1).read(1e6).frames.toReversed(),
    ]) {
      const [first, second] = messages(frames);
      expect([first?.offset, String(first?.key), String(first?.value)]).toEqual([0, 'key', 'secret value']);
      expect([...first!.headers.keys()].sort()).toEqual(['h', 'reply', 'subject']);
      expect([second?.offset, second?.value]).toEqual([1, null]);
    }
    expect(String(log.record(0)?.value)).toBe('secret value');
  });

  it('sends the encrypted value to followers', () => {
    const { log, add } = open();
    add({ value: 'secret value' });
    const follower = open();
    follower.log.appendSlice(log.slice(0, 1e6));
    expect(String(follower.log.record(0)?.value)).toBe('secret value');
  });

  it('counts the encrypted value in its entry size', () => {
    const { log, add } = open();
    add();
    expect(log.segments.active.size).toBe(83 + 1 + 40 + 12 + 16);
  });

  it('cannot be opened without a key', () => {
    expect(() => openLog({ config: { encryption: true } })).toThrow(new EncryptionError('encryption key is missing'));
  });
});
