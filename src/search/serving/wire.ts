/**
 * @file Search-R1's `/retrieve` protocol as data: what is asked, what is answered, and the check of both.
 *
 * ```
 * POST /retrieve {"queries": ["…"], "topk": 3, "return_scores": true}
 *   → {"result": [[{"document": {"id": "1", "contents": "\"Title\"\ntext"}, "score": 4.2}]]}
 * ```
 * With `return_scores` false the inner items are the documents themselves. A document also has "url" and "section" where they are known:
 * clients that do not know them pass them over.
 */
import type { Passage, StoredPassage } from "../../types.js";
import { formatContents, parseContents, withOrigin } from "../text/contents.js";

export interface RetrieveRequest {
  queries: string[];
  topk: number;
  return_scores: boolean;
}

interface WireDocument {
  id: string;
  contents: string;
  url?: string;
  section?: string;
}

type RetrieveItem = { document: WireDocument; score: number } | WireDocument;

interface RetrieveAnswer {
  result: RetrieveItem[][];
}

/** What is wrong with a request or an answer, with the path of the field. */
export class WireError extends Error {
  readonly field: string;

  constructor(field: string, problem: string) {
    super(`"${field}" ${problem}`);
    this.field = field;
  }
}

/** Writes passages as the original does. */
export function toAnswer(results: readonly (readonly Passage[])[], withScores: boolean): RetrieveAnswer {
  return { result: results.map((passages) => passages.map((passage) => toItem(passage, withScores))) };
}

/** One passage of an answer. */
export function toItem(passage: Passage, withScores: boolean): RetrieveItem {
  const document: WireDocument = withOrigin({ id: passage.id, contents: formatContents(passage) }, passage);
  return withScores ? { document, score: passage.score } : document;
}

/**
 * Reads an answer to `queryCount` queries. Takes what servers in use send: documents with or without a score around them,
 * without an id (the web servers), as bare text (the reranking server). Passages without a score get 1/rank.
 * @throws WireError for anything else.
 */
export function fromAnswer(answer: unknown, queryCount: number): Passage[][] {
  const result = isObject(answer) ? answer.result : undefined;
  if (!Array.isArray(result)) throw new WireError("result", "must be a list with one list per query");
  if (result.length !== queryCount)
    throw new WireError("result", `must hold one list per query: ${queryCount} queries, ${result.length} lists`);
  return result.map((list: unknown, query) => {
    if (!Array.isArray(list)) throw new WireError(`result[${query}]`, "must be a list");
    return list.map((item: unknown, rank) => passageOf(item, rank, `result[${query}][${rank}]`));
  });
}

function passageOf(item: unknown, rank: number, field: string): Passage {
  const isScored = isObject(item) && item.document !== undefined;
  const document = isScored ? item.document : item;
  const score = isScored && item.score !== undefined ? item.score : 1 / (rank + 1);
  if (typeof score !== "number" || !Number.isFinite(score))
    throw new WireError(`${field}.score`, `must be a finite number, got ${JSON.stringify(score)}`);
  return { ...documentOf(document, isScored ? `${field}.document` : field), score };
}

function documentOf(document: unknown, field: string): StoredPassage {
  if (typeof document === "string") return { id: "", ...parseContents(document) };
  if (!isObject(document)) throw new WireError(field, "must be a document");
  const { id, contents, title, text } = document;
  const name = typeof id === "string" || typeof id === "number" ? String(id) : "";
  if (typeof contents === "string") return withOrigin({ id: name, ...parseContents(contents) }, document);
  if (typeof text !== "string") throw new WireError(`${field}.contents`, "must be text");
  return withOrigin({ id: name, title: typeof title === "string" ? title : "", text }, document);
}

export interface RequestLimits {
  /** Used when a request names no `topk`. */
  defaultK: number;
  maxK: number;
  maxQueries: number;
  /** Characters of one query. */
  maxQueryLength: number;
  /** Queries times `topk`. */
  maxPassages: number;
}

/**
 * Reads a request. A missing or zero `topk` means the default, a missing `return_scores` false, as in the original. Its hierarchical server
 * says `topk_rerank` instead; how many passages are reranked (`topk_retrieval`) is the engine's own setting here.
 * @throws WireError naming the field.
 */
export function fromRequest(body: unknown, limits: RequestLimits): RetrieveRequest {
  if (!isObject(body)) throw new WireError("body", "must be a JSON object");
  const queries = queriesOf(body.queries, limits);
  const topk = askedFor(body.topk)
    ? topkOf("topk", body.topk, limits)
    : topkOf("topk_rerank", body.topk_rerank, limits);
  if (queries.length * topk > limits.maxPassages)
    throw new WireError(
      "queries",
      `times "topk" may ask for ${limits.maxPassages} passages, got ${queries.length} × ${topk}: send several requests`,
    );
  return { queries, topk, return_scores: booleanOf(body.return_scores) };
}

function queriesOf(queries: unknown, limits: RequestLimits): string[] {
  if (!Array.isArray(queries)) throw new WireError("queries", "must be a list of strings");
  if (queries.length > limits.maxQueries)
    throw new WireError(
      "queries",
      `may hold ${limits.maxQueries} queries, got ${queries.length}: send several requests`,
    );
  return queries.map((query: unknown, index) => {
    if (typeof query !== "string") throw new WireError(`queries[${index}]`, "must be a string");
    if (query.length > limits.maxQueryLength)
      throw new WireError(`queries[${index}]`, `may have ${limits.maxQueryLength} characters, got ${query.length}`);
    return query;
  });
}

function askedFor(topk: unknown): boolean {
  return topk !== undefined && topk !== null && topk !== 0;
}

function topkOf(field: string, topk: unknown, limits: RequestLimits): number {
  if (!askedFor(topk)) return limits.defaultK;
  if (typeof topk !== "number" || !Number.isInteger(topk) || topk < 1 || topk > limits.maxK)
    throw new WireError(field, `must be a whole number from 1 to ${limits.maxK}`);
  return topk;
}

function booleanOf(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value !== "boolean") throw new WireError("return_scores", "must be true or false");
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
