/**
 * @file From settings to a search engine. From the inside out: engines, whose requests to servers a budget and a rate let through; fused,
 * where several are joined by +; ordered anew, where a reranker is named; recorded on disk, where a cache is named; asked once for what is
 * under way. `sleuth train`, `search` and `serve search` all open their engines here.
 */
import type { HttpTools } from "../http/post.js";
import { Budget } from "./middleware/budget.js";
import { RecordedEngine } from "./middleware/recorded.js";
import { absentEngine, identityOf } from "./middleware/identity.js";
import { checkEngineSettings, isAddress, mayAskServers, parseWeights } from "./settings.js";
import { withCounts } from "./counts.js";
import { isWebEngine } from "./registry.js";
import type { EngineName } from "./registry.js";
import type { SearchEngine } from "./engine.js";
import { HybridEngine } from "./middleware/hybrid.js";
import { listPrices } from "./list-prices.js";
import { RateLimit } from "../http/rate-limit.js";
import { RerankEngine } from "./middleware/rerank.js";
import { rerankKeyVariable } from "./rerank/http-pair-scorer.js";
import type { PairScorer } from "./rerank/pair-scorer.js";
import { SingleFlightEngine } from "./middleware/single-flight.js";
import type { StoredPassage } from "../types.js";

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
  /**
   * Where requests are written down if they are bounded or cost something, so that a run which goes on another day goes on counting.
   * Absent: they are counted for this opening alone.
   */
  requestsFile?: string;
}

/** Opens one engine. Modules are loaded when they are needed: most runs need one. */
export type Opener = (settings: EngineSettings, context: EngineContext) => Promise<SearchEngine>;

const openers: Readonly<Record<EngineName, Opener>> = {
  bm25: async (settings, context) => (await import("./bm25/open-settings.js")).openBm25(settings, context),
  random: async (settings, context) => {
    const [{ openBm25 }, { RandomEngine }] = [await import("./bm25/open-settings.js"), await import("./random.js")];
    const bm25 = await openBm25(settings, context);
    return new RandomEngine(bm25.passages, settings.seed, bm25);
  },
  http: async (settings, context) => (await import("./remote/open.js")).openHttp(settings, context),
  opensearch: async (settings, context) => (await import("./remote/open.js")).openOpenSearch(settings, context),
  qdrant: async (settings, context) => (await import("./remote/open.js")).openQdrant(settings, context),
  dense: async (settings, context) => (await import("./dense/open.js")).openDense(settings, context),
  lancedb: async (settings, context) => (await import("./dense/lancedb/open.js")).openLance(settings, context),
  serper: async (settings, context) => (await import("./web/open.js")).openWeb("serper", settings, context),
  serpapi: async (settings, context) => (await import("./web/open.js")).openWeb("serpapi", settings, context),
  google: async (settings, context) => (await import("./web/open.js")).openWeb("google", settings, context),
  brave: async (settings, context) => (await import("./web/open.js")).openWeb("brave", settings, context),
  tavily: async (settings, context) => (await import("./web/open.js")).openWeb("tavily", settings, context),
  searxng: async (settings, context) => (await import("./web/open.js")).openWeb("searxng", settings, context),
  empty: async () => new (await import("./controls.js")).EmptyEngine(),
  none: async () => new (await import("./none.js")).NoneEngine(),
};

/**
 * The engine that the settings describe. Whoever opens it closes it.
 * @param given with `topK`, the passages that will be asked for at least, settings that could not bring so many are refused
 * @throws UserError for settings that contradict each other; for names, folders, addresses or keys that do not do
 */
export async function openEngine(
  given: Partial<EngineSettings> & { topK?: number },
  context: EngineContext = {},
): Promise<SearchEngine> {
  const settings = { ...defaultEngineSettings, ...given };
  const names = checkEngineSettings(settings);
  const shared = { ...context, ...(context.passages && { passages: once(context.passages) }) };
  const { cache, cacheMode } = settings;
  // Search services take one query a request: together, all would wait for the slowest, and one that is refused would fail the others.
  const together = !names.some(isWebEngine);
  const openAsked = async (): Promise<SearchEngine> =>
    new SingleFlightEngine(await openUncached(settings, names, shared), { together });
  if (cache === "") return openAsked();
  const identity = await identityOf(settings, names, shared);
  const engine = cacheMode === "replay" ? absentEngine(settings.engine) : await openAsked();
  const recorded = RecordedEngine.open(engine, { folder: cache, mode: cacheMode, identity });
  // What is kept does not wait for what is not, nor fail with it; that is asked for together further in.
  return new SingleFlightEngine(await closingOnFailure(engine, recorded), { together: false });
}

/** Engines, budget and rate, fusion, reranking. */
async function openUncached(
  settings: EngineSettings,
  names: readonly EngineName[],
  context: EngineContext,
): Promise<SearchEngine> {
  const requests = requestsOf(settings, names, context);
  const members: SearchEngine[] = [];
  try {
    for (const name of names)
      members.push(await openers[name]({ ...settings, engine: name }, { ...context, http: requests.gate(name) }));
    const found = members.length === 1 ? members[0] : fuse(settings, names, members);
    if (settings.rerank === "") return requests.counted(found);
    const scorer = await openPairScorer(settings, { ...context, http: requests.gate("rerank") });
    return requests.counted(new RerankEngine(found, scorer, { from: settings.rerankFrom }));
  } catch (error) {
    await Promise.allSettled(members.map((member) => member.close()));
    throw error;
  }
}

/**
 * Web search is asked for its first page of results only: further pages are further requests. Members have most of the search's time, so
 * that one which hangs does not take the others' answers with it.
 */
function fuse(settings: EngineSettings, names: readonly EngineName[], engines: readonly SearchEngine[]): HybridEngine {
  const weights = parseWeights(settings.weights, names.length, settings.engine);
  const depth = Math.max(50, settings.rerankFrom);
  const members = engines.map((engine, index) => ({
    engine,
    weight: weights[index],
    depth: isWebEngine(names[index]) ? 10 : depth,
  }));
  return new HybridEngine(members, { memberTimeoutMs: Math.ceil(0.8 * settings.timeoutMs) });
}

async function openPairScorer(settings: EngineSettings, context: EngineContext): Promise<PairScorer> {
  const { rerank, timeoutMs } = settings;
  if (!isAddress(rerank)) return (await import("./rerank/onnx-pair-scorer.js")).openOnnxPairScorer(rerank);
  const { environment = process.env, http } = context;
  const { HttpPairScorer } = await import("./rerank/http-pair-scorer.js");
  const key = environment[rerankKeyVariable] ?? "";
  // Half of the time for one request, so that a second try fits into the deadline of the search.
  return new HttpPairScorer({ url: rerank, key, timeoutMs: Math.ceil(timeoutMs / 2), deadlineMs: timeoutMs }, http);
}

interface Requests {
  /** The tools of an engine, whose requests are counted, and wait for their turn. */
  gate(engine: EngineName | "rerank"): Partial<HttpTools>;
  /** The engine with what was counted, where there is something to count. */
  counted(engine: SearchEngine): SearchEngine;
}

function requestsOf(settings: EngineSettings, names: readonly EngineName[], context: EngineContext): Requests {
  const { maxRequests, pricePerThousand, requestsPerSecond } = settings;
  const { http = {}, requestsFile } = context;
  const priceOf = (engine: EngineName | "rerank"): number => {
    const listed = engine === "rerank" ? undefined : listPrices[engine];
    // The price is that of the search: what runs on a server of one's own has none.
    return (
      (pricePerThousand > 0 && (names.length === 1 || listed !== undefined) ? pricePerThousand : (listed ?? 0)) / 1000
    );
  };
  const matters = maxRequests > 0 || names.some((name) => priceOf(name) > 0);
  const budget = new Budget({ maxRequests, ...(matters && requestsFile !== undefined ? { file: requestsFile } : {}) });
  const rate = requestsPerSecond > 0 ? new RateLimit(requestsPerSecond, http) : undefined;
  return {
    gate: (engine) => ({
      ...http,
      beforeRequest: async (signal) => {
        budget.check(engine);
        await rate?.take(signal);
        budget.spend(engine, priceOf(engine));
        await http.beforeRequest?.(signal);
      },
    }),
    counted: (engine) => (mayAskServers(settings, names) ? withCounts(engine, () => budget.counts()) : engine),
  };
}

async function closingOnFailure<T>(engine: SearchEngine, opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    await engine.close();
    throw error;
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
