import { constants, createReadStream } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { UserError } from './user-error.js';

/** One message to publish. */
export interface Entry {
  readonly key: string | null;
  readonly value: Buffer;
  /** How much of the source has been read with this entry, from 0 to 1; null while the size is not known. */
  readonly share: number | null;
}

/** Where the messages come from. */
export interface Source {
  readonly title: string;
  entries(): AsyncIterable<Entry>;
}

/** Entries of a source of unknown size that are held back to see whether they are all. */
const LOOK_AHEAD = 1_000;

/** The lines of FILE, of standard input for `-`, or without FILE one event for each package of package-lock.json. */
export async function openSource(file: string | undefined, lockFile: string): Promise<Source> {
  if (file === '-') return { title: 'standard input', entries: () => measured(lines(process.stdin, null)) };
  const path = file ?? lockFile;
  const size = await readableSize(path);
  if (file !== undefined) return { title: file, entries: () => lines(createReadStream(path), size) };
  return { title: 'the packages of package-lock.json', entries: () => packages(path) };
}

async function readableSize(path: string): Promise<number> {
  try {
    await access(path, constants.R_OK);
    const found = await stat(path);
    if (found.isDirectory()) throw new UserError(`cannot read ${path}: it is a folder`);
    return found.isFile() ? found.size : 0;
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (error as Error).message;
    throw new UserError(`cannot read ${path}: ${reason}`);
  }
}

const LINE_END = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** The lines as bytes: a file need not be text. */
async function* lines(input: AsyncIterable<Buffer>, size: number | null): AsyncIterable<Entry> {
  let read = 0;
  const entry = (line: Buffer): Entry => {
    read += line.length + 1;
    const value = line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
    return { key: null, value, share: size ? Math.min(1, read / size) : null };
  };
  let begun: Buffer[] = [];
  for await (const chunk of input) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_END); end >= 0; end = chunk.indexOf(LINE_END, from)) {
      yield entry(Buffer.concat([...begun, chunk.subarray(from, end)]));
      begun = [];
      from = end + 1;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
  if (begun.length > 0) yield entry(Buffer.concat(begun));
}

/** Fills in the shares of a source that ends early; the size of a longer one is known at its end only. */
async function* measured(entries: AsyncIterable<Entry>): AsyncIterable<Entry> {
  let held: Entry[] | null = [];
  for await (const entry of entries) {
    held?.push(entry);
    if (held === null) yield entry;
    else if (held.length === LOOK_AHEAD) {
      yield* held;
      held = null;
    }
  }
  const all = held ?? [];
  for (const [index, entry] of all.entries()) yield { ...entry, share: (index + 1) / all.length };
}

async function* packages(lockFile: string): AsyncIterable<Entry> {
  const lock = JSON.parse(await readFile(lockFile, 'utf8')) as { packages: Record<string, { version?: string }> };
  const names = Object.keys(lock.packages).filter((path) => path.startsWith('node_modules/'));
  for (const [index, path] of names.entries()) {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const event = { event: 'locked', name, version: lock.packages[path]?.version ?? null };
    yield { key: name, value: Buffer.from(JSON.stringify(event)), share: (index + 1) / names.length };
  }
}
