import type { ValueEncryption } from './encryption.js';
import { eachFrame, replaceValue } from './frame.js';

/** The frame with its value decrypted; the frame itself where the log has no encryption. */
export function decryptFrame(frame: Buffer, encryption: ValueEncryption | null): Buffer {
  return encryption === null ? frame : replaceValue(frame, (value) => encryption.open(value));
}

/** Several frames, one after the other, with their values decrypted. */
export function decryptFrames(run: Buffer, encryption: ValueEncryption): Buffer {
  const frames: Buffer[] = [];
  eachFrame(run, (frame) => frames.push(decryptFrame(frame, encryption)));
  return Buffer.concat(frames);
}
