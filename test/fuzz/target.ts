/** Something that takes hostile input. */
export interface FuzzTarget {
  readonly name: string;
  /** The unit of the count. */
  readonly unit: string;
  /** Opens its resources. */
  open(): Promise<OpenTarget>;
}

export interface OpenTarget {
  /** Runs the inputs of the seed; returns their number. Throws when a check fails. */
  step(seed: number): number | Promise<number>;
  /** A description of the inputs, for the report. */
  detail?(): string;
  close(): Promise<void>;
}

/** A target without resources. */
export function pure(name: string, unit: string, step: (seed: number) => number): FuzzTarget {
  return { name, unit, open: async () => ({ step, close: async () => undefined }) };
}

/** Checks that the call throws nothing but these errors. */
export function typed(call: () => unknown, ...errors: readonly (new (...parts: never[]) => Error)[]): void {
  try {
    call();
  } catch (error) {
    if (!errors.some((type) => error instanceof type))
      throw new Error(`no typed error: ${String(error)}`, { cause: error });
  }
}
