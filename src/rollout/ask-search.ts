/** @file One search, with a deadline: whatever goes wrong becomes a recorded error, never an exception. */
import type { SearchEngine } from "../search/engine.js";
import type { Passage } from "../types.js";
import { withDeadline } from "./deadline.js";

export interface SearchOutcome {
  passages: Passage[];
  waitedMs: number;
  /** Why the search failed; absent when it answered. */
  error?: string;
}

export interface AskSearchOptions {
  topK: number;
  timeoutMs: number;
  signal?: AbortSignal;
}

/** The best `topK` passages of a query. An empty query finds nothing and does not bother the engine. */
export async function askSearch(
  engine: SearchEngine,
  query: string,
  options: AskSearchOptions,
): Promise<SearchOutcome> {
  if (query === "") return { passages: [], waitedMs: 0 };
  const { topK, timeoutMs, signal } = options;
  const started = performance.now();
  try {
    const lists = await withDeadline((inner) => engine.searchBatch([query], topK, { signal: inner }), {
      timeoutMs,
      signal,
    });
    const passages = checkAnswer(lists, topK);
    return { passages, waitedMs: performance.now() - started };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { passages: [], waitedMs: performance.now() - started, error: `${engine.name}: ${message}` };
  }
}

/** Engines are foreign code, often behind a network: their answer is believed only after a look at it. */
function checkAnswer(lists: unknown, topK: number): Passage[] {
  if (!Array.isArray(lists) || lists.length !== 1) {
    const got = Array.isArray(lists) ? `${lists.length} lists` : typeof lists;
    throw new Error(`answered one query with ${got} instead of one list of passages`);
  }
  const list: unknown = lists[0];
  if (!Array.isArray(list) || !list.every(isPassage)) {
    throw new Error("answered with something other than passages that have an id, a title and a text");
  }
  return list.slice(0, topK);
}

function isPassage(value: unknown): value is Passage {
  if (typeof value !== "object" || value === null) return false;
  const { id, title, text } = value as Partial<Record<keyof Passage, unknown>>;
  return typeof id === "string" && typeof title === "string" && typeof text === "string";
}
