/** @file Every answer of an engine, kept on disk: a run can be repeated exactly without the engine, and without network. */
import { mapConcurrent } from "../../async.js";
import type { Passage } from "../../types.js";
import { SearchError, addCounts, checkSignal } from "../engine.js";
import type { Counts, PassageList, SearchEngine } from "../engine.js";
import { AnswerStore } from "./answer-store.js";
import { WrappedEngine, layerOf } from "./wrap.js";
import type { Layer, LayerOptions } from "./wrap.js";

export interface RecordedSettings {
  folder: string;
  /**
   * use: asks for what is not kept. refresh: asks for everything anew, once, and keeps it. replay: never asks; what is not kept is a
   * `SearchError`.
   */
  mode: "use" | "refresh" | "replay";
  /** The engine's identity: its name and all settings that change its answers, in words or hashed. It goes to disk: no keys. */
  identity: string;
  /** Whether an answer to a larger `k` answers a smaller one, as the conformance suite demands of every engine. Default true. */
  prefixes?: boolean;
}

/** Lookups under way at once: each may open files. */
const lookupsAtOnce = 32;

/** Written in one piece. */
const passagesAtOnce = 500;

/** An engine whose answers are recorded. An answer that cannot be written is used all the same, and counted. Closing it closes the engine. */
export class RecordedEngine extends WrappedEngine {
  /**
   * @param engine never asked in mode replay
   * @throws UserError for a folder that cannot be used
   */
  static async open(engine: SearchEngine, settings: RecordedSettings): Promise<RecordedEngine> {
    return new RecordedEngine(await openRecorded(layerOf(engine), settings));
  }
}

/**
 * What is inside, recorded.
 * @throws UserError for a folder that cannot be used
 */
export async function openRecorded(inner: Layer, settings: RecordedSettings): Promise<Layer> {
  const store = await AnswerStore.open(settings.folder, settings.mode === "replay" ? "read" : "write");
  return new Recorded(inner, store, { prefixes: true, ...settings });
}

/** Takes the engine's place in mode replay, which needs no index, no key and no server. */
export function absentEngine(name: string): SearchEngine {
  return {
    name,
    searchBatch: () => Promise.reject(new Error("internal: a cache that replays has asked its engine")),
    close: () => Promise.resolve(),
  };
}

/**
 * Answers come from disk, or from the layer inside and are then recorded. Failures and partial answers are not recorded.
 */
class Recorded implements Layer {
  readonly name: string;
  readonly #inner: Layer;
  readonly #store: AnswerStore;
  readonly #settings: Required<RecordedSettings>;
  /** Asked since the opening, in mode refresh: by `k`. */
  readonly #refreshed = new Map<string, number>();
  #hits = 0;
  #misses = 0;
  #writeFailures = 0;

  constructor(inner: Layer, store: AnswerStore, settings: Required<RecordedSettings>) {
    this.name = inner.name;
    this.#inner = inner;
    this.#store = store;
    this.#settings = settings;
  }

  async search(
    queries: readonly string[],
    k: number,
    { signal, repeated = 0 }: LayerOptions,
  ): Promise<readonly PassageList[]> {
    const known = await this.#lookUp(queries, k);
    checkSignal(signal);
    const missing = queries.filter((_, index) => known[index] === undefined);
    this.#hits += repeated + queries.length - missing.length;
    this.#misses += missing.length;
    const found = missing.length === 0 ? [] : await this.#ask(missing, k, signal);
    let next = 0;
    return known.map((list) => list ?? found[next++]);
  }

  /** `cacheHits`: queries answered from disk; `cacheMisses`: queries asked of the engine; `cacheSkipped`: damaged lines and answers. */
  counts(): Counts {
    return addCounts(this.#inner.counts(), {
      cacheHits: this.#hits,
      cacheMisses: this.#misses,
      cacheSkipped: this.#store.skipped,
      cacheWriteFailures: this.#writeFailures,
    });
  }

  async close(): Promise<void> {
    await this.#store.close();
    await this.#inner.close();
  }

  #lookUp(queries: readonly string[], k: number): Promise<(Passage[] | undefined)[]> {
    const { mode, identity, prefixes } = this.#settings;
    const isCurrent = (query: string): boolean => mode !== "refresh" || (this.#refreshed.get(query) ?? 0) >= k;
    return mapConcurrent(queries, lookupsAtOnce, async (query) =>
      isCurrent(query) ? this.#store.get(identity, query, k, prefixes) : undefined,
    );
  }

  async #ask(queries: readonly string[], k: number, signal: AbortSignal | undefined): Promise<readonly PassageList[]> {
    if (this.#settings.mode === "replay") throw this.#notKept(queries, k);
    const lists = await this.#inner.search(queries, k, { signal });
    checkScores(lists, this.name);
    const whole = queries.map((query, index) => [query, lists[index]] as const).filter(([, { partial }]) => !partial);
    await this.#keep(k, whole);
    return lists;
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
        "search.cacheMode=replay asks no engine: record the answer first with search.cacheMode=use.",
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

/** Recorded answers are trusted for a long time, so an invalid score is not recorded. */
function checkScores(lists: readonly PassageList[], name: string): void {
  if (lists.every((list) => list.every(({ score }) => Number.isFinite(score)))) return;
  throw new SearchError(
    `${name} answered ${lists.length} queries with passages instead of one list each of passages with a finite score.`,
    { engine: name, isRetryable: false },
  );
}
