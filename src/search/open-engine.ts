/**
 * @file From settings to a search engine: one by its name, or several joined by + and fused; ordered anew where a reranker is named;
 * behind a cache and a budget. `sleuth train`, `search` and `serve search` all open their engines here.
 */
import { UserError, nearest } from "../errors.js";
import type { HttpTools } from "../http/post.js";
import { engineNames } from "./engine-names.js";
import type { EngineName } from "./engine-names.js";
import type { SearchEngine } from "./engine.js";
import type { StoredPassage } from "./bm25/passages.js";

/** What an engine is opened with; each engine reads what concerns it. Defaults as in the group `search` of a run file. */
export interface EngineSettings {
  /** A name of `engineNames`, or several joined by +. */
  engine: string;
  /** Folder made by `sleuth index`, for bm25, dense and lancedb; of lancedb also an address like s3://bucket/folder. */
  index: string;
  /** Address of the server, for http, opensearch, qdrant and searxng. */
  url: string;
  /** OpenSearch's index, Qdrant's collection, LanceDB's table. */
  collection: string;
  /** Dense search: folder, hf: name or /v1/embeddings address; empty: the encoder that the index names. */
  encoder: string;
  encoderModel: string;
  /** BM25; undefined: what the index was built with. */
  k1?: number;
  b?: number;
  /** Weights of fused engines in their order, like "1,0.5"; empty: all 1. */
  weights: string;
  rerank: string;
  rerankFrom: number;
  pages: boolean;
  /** Folder; empty: nothing is kept on disk. */
  cache: string;
  cacheMode: "use" | "refresh" | "replay";
  /** 0: no bound. */
  maxRequests: number;
  /** US dollars; 0: the engine's list price. */
  pricePerThousand: number;
  /** 0: no bound. */
  requestsPerSecond: number;
  /** Deadline of one search, further tries included. Milliseconds. */
  timeoutMs: number;
  /** For the random engine. */
  seed: number;
}

export const defaultEngineSettings: EngineSettings = {
  engine: "bm25",
  index: "",
  url: "",
  collection: "",
  encoder: "",
  encoderModel: "",
  weights: "",
  rerank: "",
  rerankFrom: 20,
  pages: false,
  cache: "",
  cacheMode: "use",
  maxRequests: 0,
  pricePerThousand: 0,
  requestsPerSecond: 0,
  timeoutMs: 10_000,
  seed: 0,
};

/** What engines take from their surroundings. */
export interface EngineContext {
  /** The passages of a corpus that has no index folder; absent where an index must be named. */
  passages?: () => Promise<readonly StoredPassage[]>;
  /** Keys of web engines come from here. Default: the environment of this process. */
  environment?: Readonly<Record<string, string | undefined>>;
  /**
   * How servers are asked. Engines hand it on to whatever sends their requests (`postJson` takes it as tools), so that `beforeRequest` runs
   * before every try: the run's budget and rate are kept there. Tests bring a `fetch`.
   */
  http?: Partial<HttpTools>;
}

/** Opens one engine. Modules are loaded when they are needed: most runs need one. */
export type Opener = (settings: EngineSettings, context: EngineContext) => Promise<SearchEngine>;

const openers: Partial<Record<EngineName, Opener>> = {
  bm25: async (settings, context) => (await import("./bm25/open-settings.js")).openBm25(settings, context),
  random: async (settings, context) => {
    const [{ openBm25 }, { RandomEngine }] = [await import("./bm25/open-settings.js"), await import("./random.js")];
    return new RandomEngine((await openBm25(settings, context)).passages, settings.seed);
  },
  http: async (settings, context) => (await import("./remote/open.js")).openHttp(settings, context),
  opensearch: async (settings, context) => (await import("./remote/open.js")).openOpenSearch(settings, context),
  qdrant: async (settings, context) => (await import("./remote/open.js")).openQdrant(settings, context),
  empty: async () => new (await import("./empty.js")).EmptyEngine(),
  none: async () => new (await import("./none.js")).NoneEngine(),
};

/**
 * The engine that the settings describe. Whoever opens it closes it.
 * @throws UserError for names, folders, addresses or keys that do not do
 */
export async function openEngine(given: Partial<EngineSettings>, context: EngineContext = {}): Promise<SearchEngine> {
  const settings = { ...defaultEngineSettings, ...given };
  const names = settings.engine.split("+");
  if (names.length > 1) throw new UserError("internal: fusing engines is not wired yet");
  return openOne(names[0], settings, context);
}

function openOne(name: string, settings: EngineSettings, context: EngineContext): Promise<SearchEngine> {
  const opener = openers[name as EngineName];
  if (opener === undefined) {
    const hint = nearest(name, engineNames);
    throw new UserError(
      `There is no search engine "${name}". ${hint === undefined ? `Engines: ${engineNames.join(", ")}.` : `Did you mean ${hint}?`}`,
    );
  }
  return opener(settings, context);
}
