/** @file What a bench group is. Names of lines are stable: `docs/log.md` and comparisons over time use them. */

/** One measurement. */
export interface BenchLine {
  name: string;
  value: number;
  unit: string;
  /** Share of the raw matrix-product rate measured in the same run, where that makes sense. */
  perRaw?: number;
}

export interface BenchContext {
  report(line: BenchLine): void;
  /** A line for people about what is being measured; goes to stderr. */
  note(text: string): void;
}

export type BenchGroup = (context: BenchContext) => Promise<void>;
