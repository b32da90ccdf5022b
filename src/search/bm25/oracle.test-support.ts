/**
 * @file BM25 by brute force, straight from the formula in `scorer.ts`: every query term against every passage, sorted whole.
 * The slow truth that fast engines are compared with.
 */
import type { Passage, StoredPassage } from "../../types.js";
import { Analyzer } from "../text/analyzer.js";
import { defaultBm25 } from "./settings.js";
import type { Bm25Settings } from "./settings.js";

/** The best `k` passages of a query; equal scores in the order of `passages`. */
export function bruteForceBm25(
  passages: readonly StoredPassage[],
  query: string,
  k: number,
  settings: Partial<Bm25Settings> = {},
): Passage[] {
  const { k1, b, analyzer: analyzerSettings } = { ...defaultBm25, ...settings };
  const analyzer = new Analyzer(analyzerSettings);
  const documents = passages.map(({ title, text }) => analyzer.terms(`${title}\n${text}`));
  const meanLength = documents.reduce((sum, terms) => sum + terms.length, 0) / documents.length;
  const queryTerms = analyzer.terms(query);
  const score = (document: readonly string[]): number => {
    let sum = 0;
    for (const term of [...new Set(queryTerms)].sort()) {
      const inQuery = queryTerms.filter((other) => other === term).length;
      const holding = documents.filter((terms) => terms.includes(term)).length;
      const frequency = document.filter((other) => other === term).length;
      if (frequency === 0) continue;
      const idf = Math.log(1 + (documents.length - holding + 0.5) / (holding + 0.5));
      const norm = k1 * (1 - b + (b * document.length) / meanLength);
      sum += inQuery * idf * (frequency / (frequency + norm));
    }
    return sum;
  };
  return passages
    .map((passage, index) => ({ ...passage, score: score(documents[index]) }))
    .filter((passage) => passage.score > 0)
    .sort((first, second) => second.score - first.score)
    .slice(0, k);
}
