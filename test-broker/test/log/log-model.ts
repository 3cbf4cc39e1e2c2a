/** A message in the model. */
export interface ModelEntry {
  readonly offset: number;
  readonly key: string;
  readonly value: string;
  readonly timestamp: bigint;
  readonly size: number;
  readonly epoch: number;
}

interface ModelSegment {
  base: number;
  entries: ModelEntry[];
}

export interface ModelConfig {
  readonly segmentMaxBytes: number;
  readonly segmentMaxAge: number;
  readonly retentionMaxMessages: number;
  readonly retentionMaxBytes: number;
  readonly retentionMaxAge: number;
  readonly compactEnabled: boolean;
}

const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

/** A model of the log in the simplest form: arrays that are copied and searched completely. */
export class LogModel {
  segments: ModelSegment[] = [{ base: 0, entries: [] }];
  highWatermark = -1;

  constructor(readonly config: ModelConfig) {}

  get entries(): ModelEntry[] {
    return this.segments.flatMap((segment) => segment.entries);
  }

  get next(): number {
    const { base, entries } = this.active;
    return entries.length > 0 ? entries.at(-1)!.offset + 1 : base;
  }

  get active(): ModelSegment {
    return this.segments.at(-1)!;
  }

  append(entry: Omit<ModelEntry, 'offset' | 'size'>): void {
    this.rollIfDue(entry.timestamp);
    // The size of every entry, of the header "subject" with 11 bytes, and of "reply" without any.
    const size = 44 + entry.key.length + entry.value.length + (13 + 11) + 11;
    this.active.entries.push({ ...entry, offset: this.next, size });
  }

  rollIfDue(now: bigint): boolean {
    const { entries } = this.active;
    const size = sum(entries.map((entry) => entry.size));
    const age = entries.length > 0 ? now - entries[0]!.timestamp : 0n;
    const { segmentMaxAge, segmentMaxBytes } = this.config;
    const old = segmentMaxAge > 0 && entries.length > 0 && age >= BigInt(segmentMaxAge) * 1_000_000n;
    if (size < segmentMaxBytes && !old) return false;
    this.segments.push({ base: this.next, entries: [] });
    return true;
  }

  clean(now: bigint): void {
    if (this.rollIfDue(now)) return;
    const { retentionMaxAge, retentionMaxBytes, retentionMaxMessages, compactEnabled } = this.config;
    if (retentionMaxAge > 0) {
      const limit = now - BigInt(retentionMaxAge) * 1_000_000n;
      while (this.segments.length > 1 && this.segments[0]!.entries.at(-1)!.timestamp < limit) this.segments.shift();
    }
    if (retentionMaxMessages > 0) this.#limit(retentionMaxMessages, () => 1);
    if (retentionMaxBytes > 0) this.#limit(retentionMaxBytes, (entry) => entry.size);
    if (compactEnabled) this.#compact();
  }

  truncate(offset: number): void {
    if (offset >= this.next) return;
    for (const segment of this.segments) segment.entries = segment.entries.filter((entry) => entry.offset < offset);
    this.segments = this.segments.filter((segment) => segment.base < offset);
    if (this.segments.length === 0 || this.next !== offset) this.segments.push({ base: offset, entries: [] });
  }

  #limit(limit: number, weight: (entry: ModelEntry) => number): void {
    const weightFrom = (index: number) => sum(this.segments.slice(index).flatMap((s) => s.entries.map(weight)));
    while (this.segments.length > 1 && weightFrom(0) > limit) this.segments.shift();
  }

  #compact(): void {
    const committed = this.entries.filter((entry) => entry.offset <= this.highWatermark);
    const superseded = (entry: ModelEntry) =>
      entry.key !== '' &&
      entry.offset < this.highWatermark &&
      committed.some((later) => later.key === entry.key && later.offset > entry.offset);
    const full = this.segments.slice(0, -1);
    for (const segment of full) segment.entries = segment.entries.filter((entry) => !superseded(entry));
    this.segments = [...full.filter((segment) => segment.entries.length > 0), this.active];
  }
}
