/** @file The bootstrap of a mean over 50,000 questions, with as many different values as questions: the slowest case. */
import { bootstrapMean } from "../../src/eval/intervals.js";
import { Random } from "../../src/random.js";
import type { BenchContext } from "../bench.js";

/** Seconds for 10,000 resamples. */
export function bootstrapSeconds({ quick }: Pick<BenchContext, "quick">): number {
  const random = new Random(1, "bench");
  const values = Array.from({ length: quick ? 500 : 50_000 }, () => random.next());
  const started = performance.now();
  bootstrapMean(values, { samples: 10_000 });
  return (performance.now() - started) / 1000;
}
