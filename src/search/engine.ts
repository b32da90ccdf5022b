/** @file The one interface of every search engine, its failures, and what all engines check and count. */
import { Refused } from "../http/chunks.js";
import type { Passage } from "../types.js";

export interface SearchOptions {
  /** Cancels the search; the promise then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Passages of one query, best first. An array, so that engines may answer with plain ones. */
export interface PassageList extends Array<Passage> {
  /** A part that failed has given nothing to this list: it would have been another one if everything had worked. It is used, and never kept. */
  partial?: true;
  /** Why this query alone has failed, where others of its call have answers: the list is empty and `partial`. */
  refused?: string;
}

/** Numbers by name that add up. */
export type Counts = Readonly<Record<string, number>>;

export interface SearchEngine {
  /** Name for traces and error messages: "bm25", "http", … */
  readonly name: string;
  /**
   * The best `k` passages of each query, best first, one list per query in the queries' order. A query without hits has an empty list, and so
   * has a blank one, with which no server is asked. A query that a server refuses (too long for it, say) takes no other along: its list is
   * `refused`; where all queries of a call are, the call fails.
   * @throws SearchError when the engine cannot answer.
   */
  searchBatch(queries: readonly string[], k: number, options?: SearchOptions): Promise<PassageList[]>;
  /**
   * What the engine has done since it was opened, by name and all of it adding up ("cacheHits", "requests", "spentUsd", …): becomes metrics
   * of a run and lines of `GET /metrics`. Wrappers give their own numbers with those of the engine inside. Absent: nothing to tell.
   */
  counts?(): Counts;
  /**
   * Whether an id stands for one passage, whatever text is shown of it (a page of the web, by excerpts). Absent: it may be a document's, which
   * its chunks share.
   */
  readonly idsArePassages?: true;
  close(): Promise<void>;
}

/** A search that failed, with what the caller needs to decide what to do next. */
export class SearchError extends Error {
  readonly engine: string;
  /** Whether the same call may succeed later. */
  readonly isRetryable: boolean;
  /** For HTTP engines. */
  readonly url?: string;
  readonly status?: number;

  constructor(
    message: string,
    details: { engine: string; isRetryable: boolean; url?: string; status?: number; cause?: unknown },
  ) {
    super(message, { cause: details.cause });
    this.name = "SearchError";
    this.engine = details.engine;
    this.isRetryable = details.isRetryable;
    this.url = details.url;
    this.status = details.status;
  }
}

/** An engine that does not keep the promise of `searchBatch`. Neither another try nor another query will help: a run ends with it. */
export class BrokenEngineError extends SearchError {}

/** @throws RangeError unless `k` is a whole number of at least 1. */
export function checkCount(k: number): void {
  if (!Number.isSafeInteger(k) || k < 1) throw new RangeError(`k must be a whole number of at least 1, got ${k}.`);
}

/** @throws the signal's reason when the caller has given up. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason;
}

/** A query without a word or sign: it finds nothing, and is not sent to servers, many of which refuse it. */
export function isBlank(query: string): boolean {
  return query.trim() === "";
}

/**
 * Searches for each distinct query once, blank ones apart. Each query of the caller gets a copy of its list, which the caller may change.
 * @param search gets at least one query, none of them blank
 */
export async function forDistinct(
  queries: readonly string[],
  search: (distinct: readonly string[]) => Promise<readonly PassageList[]>,
): Promise<PassageList[]> {
  const distinct = [...new Set(queries)].filter((query) => !isBlank(query));
  const lists = distinct.length === 0 ? [] : await search(distinct);
  const listOf = new Map(distinct.map((query, index) => [query, lists[index]]));
  return queries.map((query) => copyOf(listOf.get(query) ?? []));
}

function copyOf(list: PassageList): PassageList {
  return withMarks(
    list.map((passage) => ({ ...passage })),
    list,
  );
}

/** The list, with the marks of a list that it was made from. */
export function withMarks(
  list: Passage[],
  { partial, refused }: Pick<PassageList, "partial" | "refused">,
): PassageList {
  return Object.assign(list, { ...(partial && { partial }), ...(refused !== undefined && { refused }) });
}

/**
 * The lists of a call, those of refused queries empty and marked.
 * @throws the first refusal, where there is nothing else
 */
export function answeredLists(answers: readonly (PassageList | Refused)[]): PassageList[] {
  const refused = answers.filter((answer) => answer instanceof Refused);
  if (refused.length > 0 && refused.length === answers.length) throw refused[0].error;
  return answers.map((answer) => (answer instanceof Refused ? refusedList(answer.error.message) : answer));
}

function refusedList(why: string): PassageList {
  return withMarks([], { partial: true, refused: why });
}

/**
 * An engine's answer, when it is one list of passages for each of `count` queries: engines are foreign code, often behind a network.
 * @throws BrokenEngineError for an engine that breaks its promise
 */
export function checkLists(lists: unknown, count: number, name: string): PassageList[] {
  if (Array.isArray(lists) && lists.length === count && lists.every(isPassageList)) return lists;
  const inside = (all: unknown[]): string =>
    all.length === count ? "something that holds no id, title and text" : `${all.length} results`;
  const got = Array.isArray(lists) ? inside(lists) : typeof lists;
  const why = `${name} answered ${count} queries with ${got} instead of one list of passages each.`;
  throw new BrokenEngineError(why, { engine: name, isRetryable: false });
}

function isPassageList(list: unknown): list is PassageList {
  return Array.isArray(list) && list.every(isPassage);
}

function isPassage(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { id, title, text } = value as Partial<Record<keyof Passage, unknown>>;
  return typeof id === "string" && typeof title === "string" && typeof text === "string";
}

/** Sums by name. */
export function addCounts(...all: readonly (Counts | undefined)[]): Counts {
  const sums: Record<string, number> = {};
  for (const counts of all) {
    for (const [name, value] of Object.entries(counts ?? {})) sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}

/** One query with one of its own passages: a pair is one record, so that nothing can be scored against another's query. */
export interface Pair {
  query: string;
  /** `(Title: title) text`, or the text alone where there is no title, as Search-R1's reranker reads it. */
  passage: string;
}

/** A judge of how well passages answer queries: a cross-encoder in a worker, or a `/rerank` service. */
export interface PairScorer {
  readonly name: string;
  /**
   * One finite score per pair, higher is better. A pair's score does not depend on the other pairs. Undefined for a pair that a service
   * refuses (too long for it, say) while it takes others.
   * @throws SearchError when the model or the service fails, or takes no pair; the signal's reason
   */
  score(pairs: readonly Pair[], options?: SearchOptions): Promise<(number | undefined)[]>;
  counts?(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}
