/** @file The settings of a BM25 index and their defaults. */
import { UserError } from "../../errors.js";
import type { AnalyzerSettings } from "../text/analyzer.js";

export interface Bm25Settings {
  /** How fast repetitions of a term saturate: 0 counts a term once. Ranking only: may change on an existing index. */
  k1: number;
  /** How much long passages are held back, 0 to 1. Ranking only: may change on an existing index. */
  b: number;
  /** How texts become terms; fixed when the index is built. Parts left out are as in `englishAnalyzer`. */
  analyzer: Partial<AnalyzerSettings>;
}

/** Anserini's and Pyserini's defaults, and so Search-R1's. (Lucene's own are 1.2 and 0.75.) */
export const defaultBm25: Bm25Settings = { k1: 0.9, b: 0.4, analyzer: {} };

/** @throws UserError for values outside Lucene's ranges. */
export function checkRanking(k1: number, b: number): void {
  if (!Number.isFinite(k1) || k1 < 0)
    throw new UserError(`BM25 setting "k1" must be a number of at least 0, got ${k1}.`);
  if (!(b >= 0 && b <= 1)) throw new UserError(`BM25 setting "b" must lie between 0 and 1, got ${b}.`);
}
