/** @file Every answer of an engine, kept on disk: a run can be repeated exactly without the engine, and without network. */
import { mapConcurrent } from "../../async.js";
import type { Passage } from "../../types.js";
import { addCounts, type Counts } from "../counts.js";
import { SearchError, checkCount, checkSignal } from "../engine.js";
import type { SearchEngine, SearchOptions } from "../engine.js";
import { isPartial, markPartial } from "../partial.js";
import { AnswerStore } from "./answer-store.js";

export interface RecordedSettings {
  folder: string;
  /**
   * use: asks for what is not kept. refresh: asks for everything anew, once, and keeps it. replay: never asks; what is not kept is a
   * `SearchError`.
   */
  mode: "use" | "refresh" | "replay";
  /** What the engine is: its name and every setting that changes its answers, in words or hashed; no keys, for it is written down. */
  identity: string;
  /** Whether an answer to a larger `k` answers a smaller one, as the conformance suite demands of every engine. Default true. */
  prefixes?: boolean;
}

/** Lookups under way at once: each may open files. */
const lookupsAtOnce = 32;

/** Written in one piece. */
const passagesAtOnce = 500;

/**
 * Answers come from disk, or from the engine and then go there. Failures are not kept, nor are answers that lack the share of a part that
 * failed. An answer that cannot be written is used all the same, and counted. Closing it closes the engine.
 */
export class RecordedEngine implements SearchEngine {
  readonly name: string;
  readonly #engine: SearchEngine;
  readonly #store: AnswerStore;
  readonly #settings: Required<RecordedSettings>;
  /** Asked since the opening, in mode refresh: by `k`. */
  readonly #refreshed = new Map<string, number>();
  #hits = 0;
  #misses = 0;
  #writeFailures = 0;
  #isClosed = false;

  private constructor(engine: SearchEngine, store: AnswerStore, settings: Required<RecordedSettings>) {
    this.name = engine.name;
    this.#engine = engine;
    this.#store = store;
    this.#settings = settings;
  }

  /**
   * @param engine never asked in mode replay
   * @throws UserError for a folder that cannot be used
   */
  static async open(engine: SearchEngine, settings: RecordedSettings): Promise<RecordedEngine> {
    const store = await AnswerStore.open(settings.folder, settings.mode === "replay" ? "read" : "write");
    return new RecordedEngine(engine, store, { prefixes: true, ...settings });
  }

  async searchBatch(queries: readonly string[], k: number, options: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(options.signal);
    const distinct = [...new Set(queries)];
    const known = await this.#lookUp(distinct, k);
    checkSignal(options.signal);
    const missing = distinct.filter((query) => !known.has(query));
    this.#hits += queries.length - missing.length;
    this.#misses += missing.length;
    if (missing.length > 0) {
      if (this.#settings.mode === "replay") throw this.#notKept(missing, k);
      const lists = checkAnswer(await this.#engine.searchBatch(missing, k, options), missing.length, this.name);
      for (const [index, query] of missing.entries()) known.set(query, lists[index]);
      await this.#keep(
        k,
        missing.flatMap((query, index) => (isPartial(lists[index]) ? [] : [[query, lists[index]] as const])),
      );
    }
    return queries.map((query) => {
      const list = known.get(query) as readonly Passage[];
      const copy = list.map((passage) => ({ ...passage }));
      return isPartial(list) ? markPartial(copy) : copy;
    });
  }

  /** `cacheHits` are queries that were not asked of the engine, `cacheMisses` those that were; `cacheSkipped` are lines and answers that were damaged. */
  counts(): Counts {
    return addCounts(this.#engine.counts?.(), {
      cacheHits: this.#hits,
      cacheMisses: this.#misses,
      cacheSkipped: this.#store.skipped,
      cacheWriteFailures: this.#writeFailures,
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#store.close();
    await this.#engine.close();
  }

  async #lookUp(queries: readonly string[], k: number): Promise<Map<string, readonly Passage[]>> {
    const { mode, identity, prefixes } = this.#settings;
    const known = new Map<string, readonly Passage[]>();
    const kept = queries.filter((query) => mode !== "refresh" || (this.#refreshed.get(query) ?? 0) >= k);
    await mapConcurrent(kept, lookupsAtOnce, async (query) => {
      const passages = await this.#store.get(identity, query, k, prefixes);
      if (passages !== undefined) known.set(query, passages);
    });
    return known;
  }

  async #keep(k: number, answers: readonly (readonly [string, readonly Passage[]])[]): Promise<void> {
    for (const some of inPieces(answers)) {
      try {
        await this.#store.put(this.#settings.identity, k, some);
        for (const [query] of some) this.#refreshed.set(query, Math.max(k, this.#refreshed.get(query) ?? 0));
      } catch {
        this.#writeFailures += some.length;
      }
    }
  }

  #notKept(queries: readonly string[], k: number): SearchError {
    const [first] = queries;
    const shown = JSON.stringify(first.length > 200 ? `${first.slice(0, 200)}…` : first);
    const others = queries.length === 1 ? "" : ` and ${queries.length - 1} more`;
    return new SearchError(
      `${this.name}: the cache ${this.#settings.folder} has no answer to ${shown}${others} with ${k} passages from this engine with these settings. ` +
        "search.cacheMode=replay asks nobody: record the answer first with search.cacheMode=use.",
      { engine: this.name, isRetryable: false },
    );
  }
}

/** Answers with about as many passages as can be hashed without holding up the event loop. */
function* inPieces<Answer extends readonly [string, readonly Passage[]]>(
  answers: readonly Answer[],
): Generator<Answer[]> {
  let piece: Answer[] = [];
  let passages = 0;
  for (const answer of answers) {
    piece.push(answer);
    passages += answer[1].length;
    if (passages < passagesAtOnce) continue;
    yield piece;
    [piece, passages] = [[], 0];
  }
  if (piece.length > 0) yield piece;
}

/** What is kept is believed for a long time: nothing that breaks an engine's promises gets in. */
function checkAnswer(lists: unknown, count: number, name: string): Passage[][] {
  const isAnswer = Array.isArray(lists) && lists.length === count;
  if (isAnswer && lists.every((list) => Array.isArray(list) && list.every(isPassage))) return lists as Passage[][];
  const got = Array.isArray(lists) ? `${lists.length} results` : typeof lists;
  throw new SearchError(
    `${name} answered ${count} queries with ${got} instead of one list each of passages with id, title, text and a finite score.`,
    { engine: name, isRetryable: false },
  );
}

function isPassage(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { id, title, text, score } = value as Partial<Record<keyof Passage, unknown>>;
  return [id, title, text].every((field) => typeof field === "string") && Number.isFinite(score);
}
