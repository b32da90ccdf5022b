/** @file The search engine of a configuration, and its passages where this process can read them. */
import { existsSync } from "node:fs";
import path from "node:path";
import { buildAtlas } from "../data/atlas/atlas.js";
import { loadCorpus } from "../search/documents/corpus.js";
import type { SearchEngine } from "../search/engine.js";
import { openEngine } from "../search/open.js";
import type { PassageSource } from "../search/passages.js";
import type { StoredPassage } from "../types.js";
import type { Config } from "./config/config.js";
import type { GivenParts, Opened } from "./parts.js";

/** A search engine, with what is known of its passages. */
export interface OpenedSearch extends Opened<SearchEngine> {
  /** The passages, where this process has them at hand. */
  passages?: Pick<PassageSource, "count" | "isDeleted" | "read">;
  /** They are the built-in world's. */
  isBuiltIn: boolean;
}

/**
 * The search engine of a configuration, or the one given.
 * @throws UserError for corpora and indexes that cannot be read
 */
export async function openSearch({ data, search, train, run }: Config, given: GivenParts = {}): Promise<OpenedSearch> {
  if (given.search !== undefined) return { value: given.search, isBuiltIn: false, close: () => Promise.resolve() };
  let isBuiltIn = false;
  const loadPassages = async (): Promise<readonly StoredPassage[]> => {
    if (data.corpus !== "atlas") return loadCorpus([data.corpus]);
    isBuiltIn = true;
    return buildAtlas({ seed: data.worldSeed }).passages;
  };
  let passages: OpenedSearch["passages"];
  // A run with a folder records its requests there: the budget is the run's, however often it is started.
  const requestsFile =
    run.folder !== "" && existsSync(run.folder) ? path.join(run.folder, "search-requests.jsonl") : undefined;
  const engine = await openEngine(
    { ...search, index: data.index, seed: train.seed },
    { passages: loadPassages, onPassages: (source) => (passages ??= source), requestsFile },
  );
  return { value: engine, passages, isBuiltIn, close: () => engine.close() };
}
