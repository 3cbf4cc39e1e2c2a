/** Something that takes hostile input. */
export interface FuzzTarget {
  readonly name: string;
  /** What is counted. */
  readonly unit: string;
  /** Opens what it needs. */
  open(): Promise<OpenTarget>;
}

export interface OpenTarget {
  /** Feeds the inputs that the seed stands for; answers how many. Throws when something is wrong. */
  step(seed: number): number | Promise<number>;
  /** What the inputs were made of, for the report. */
  detail?(): string;
  close(): Promise<void>;
}

/** A target that needs nothing. */
export function pure(name: string, unit: string, step: (seed: number) => number): FuzzTarget {
  return { name, unit, open: async () => ({ step, close: async () => undefined }) };
}

/** What the call throws must be one of these errors. */
export function typed(call: () => unknown, ...errors: readonly (new (...parts: never[]) => Error)[]): void {
  try {
    call();
  } catch (error) {
    if (!errors.some((type) => error instanceof type))
      throw new Error(`no typed error: ${String(error)}`, { cause: error });
  }
}
