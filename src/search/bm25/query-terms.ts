/** @file A query as terms of an index. */
import type { Analyzer } from "../text/analyzer.js";

/** The first character that is composed of others. */
const composed = /[\u00c0-\uffff]/;

/**
 * The terms of a query, repetitions included. An index that was made before texts were composed on reading, or of passages from a program,
 * may hold decomposed words (`mu\u0308ller`): these are looked up, too. An index of composed words has none of them, and its scores stay.
 */
export function queryTerms(analyzer: Analyzer, query: string): string[] {
  if (!composed.test(query)) return analyzer.terms(query);
  const terms = analyzer.terms(query.normalize("NFC"));
  const known = new Set(terms);
  return [...terms, ...analyzer.terms(query.normalize("NFD")).filter((term) => !known.has(term))];
}
