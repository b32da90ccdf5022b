/** @file What a bench group is. Names of lines are stable: `docs/log.md` and comparisons over time use them. */
import type { AskedPrecision, Precision } from "./precision.js";

/** One measurement. */
export interface BenchLine {
  name: string;
  value: number;
  unit: string;
  /** Share of the raw matrix-product rate measured in the same run, where that makes sense. */
  perRaw?: number;
  /** 95 % interval of the value, where it is the middle of several pairs. */
  low?: number;
  high?: number;
  /** In what frozen weights were multiplied, where the model has an adapter over some. */
  precision?: Precision;
}

export interface BenchContext {
  report(line: BenchLine): void;
  /** One round of little work: shows that everything runs, and nothing about speed. Groups that are quick anyway take no notice. */
  quick: boolean;
  /** Whether one of the group's `parts` is asked for. */
  wants(part: string): boolean;
  /** For comparisons with an earlier commit: which one, and how many pairs. */
  against?: string;
  pairs?: number;
  /** In what models with an adapter multiply their frozen weights. */
  precision: AskedPrecision;
  /** A line for people about what is being measured; goes to stderr. */
  note(text: string): void;
}

export type BenchGroup = (context: BenchContext) => Promise<void>;

/** What a group's file exports. */
export interface BenchModule {
  bench: BenchGroup;
  /** Names of the parts that can be run alone; absent where the group runs as a whole only. */
  parts?: readonly string[];
  /** Why the group cannot run here and what to do; undefined where it can. */
  unavailable?(): string | undefined;
}
