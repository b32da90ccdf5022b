/**
 * @file From settings to a search engine. From the inside out: engines, whose requests to servers a budget and a rate let through; fused,
 * where several are joined by +; reranked, where a reranker is named; asked in
 * normalised queries; recorded on disk, where a cache is named; asked once for what is
 * under way. `sleuth train`, `search` and `serve search` all open their engines here.
 */
import type { HttpTools } from "../http/request.js";
import { Budget } from "./middleware/budget.js";
import { coalesced } from "./middleware/coalesce.js";
import { identityOf } from "./middleware/identity.js";
import { fused } from "./middleware/hybrid.js";
import { normalised } from "./middleware/normalised.js";
import { absentEngine, openRecorded } from "./middleware/recorded.js";
import { reranked } from "./middleware/rerank.js";
import { WrappedEngine, layerOf } from "./middleware/wrap.js";
import type { Layer } from "./middleware/wrap.js";
import { checkEngineSettings, mayAskServers, parseWeights } from "./contradictions.js";
import { defaultEngineSettings, isAddress, timesOf } from "./settings.js";
import type { EngineContext, EngineSettings } from "./settings.js";
import { engines, takesOneQueryPerRequest } from "./registry.js";
import type { EngineName } from "./registry.js";
import { addCounts } from "./engine.js";
import type { SearchEngine, PairScorer } from "./engine.js";
import { RateLimit } from "../http/rate-limit.js";
import { rerankKeyVariable } from "./rerank/http-pair-scorer.js";

/**
 * The engine that the settings describe. The caller closes it.
 * @param given with `topK`, the passages that will be asked for at least, settings that could not bring so many are refused
 * @throws UserError for settings that contradict each other; for names, folders, addresses or keys that do not do
 */
export async function openEngine(
  given: Partial<EngineSettings> & { topK?: number },
  context: EngineContext = {},
): Promise<SearchEngine> {
  const settings = withDefaults(given);
  const names = checkEngineSettings(settings);
  const shared = { ...context, ...(context.passages && { passages: once(context.passages) }) };
  const { cache, cacheMode } = settings;
  // Search services take one query a request: together, all would wait for the slowest, and one that is refused would fail the others.
  const together = !takesOneQueryPerRequest(settings.engine);
  const openAsked = async (): Promise<Layer> => coalesced(await openUncached(settings, names, shared), { together });
  if (cache === "") return new WrappedEngine(await openAsked());
  const identity = await identityOf(settings, names, shared);
  const asked = cacheMode === "replay" ? layerOf(absentEngine(settings.engine)) : await openAsked();
  const recorded = openRecorded(asked, { folder: cache, mode: cacheMode, identity });
  // Recorded queries neither wait for the others nor fail with them; the coalescer inside asks the others together.
  return new WrappedEngine(coalesced(await closingOnFailure(asked, recorded), { together: false }));
}

/** Engines, budget and rate, fusion, reranking, normalised queries. */
async function openUncached(
  settings: EngineSettings,
  names: readonly EngineName[],
  context: EngineContext,
): Promise<Layer> {
  const requests = requestsOf(settings, names, context);
  const members: SearchEngine[] = [];
  try {
    for (const name of names)
      members.push(await engines[name].open({ ...settings, engine: name }, { ...context, http: requests.gate(name) }));
    const found = members.length === 1 ? layerOf(members[0]) : fuse(settings, names, members);
    if (settings.rerank === "") return normalised(requests.counted(found));
    const scorer = await openPairScorer(settings, { ...context, http: requests.gate("rerank") });
    return normalised(requests.counted(reranked(found, scorer, settings.rerankFrom)));
  } catch (error) {
    await Promise.allSettled(members.map((member) => member.close()));
    throw error;
  }
}

/**
 * Web search is asked for its first page of results only: further pages are further requests. Members have most of the search's time, so
 * that one which hangs does not take the others' answers with it.
 */
function fuse(settings: EngineSettings, names: readonly EngineName[], opened: readonly SearchEngine[]): Layer {
  const weights = parseWeights(settings.weights, names.length, settings.engine);
  const depth = Math.max(50, settings.rerankFrom);
  const members = opened.map((engine, index) => ({
    engine,
    weight: weights[index],
    depth: engines[names[index]].onePerRequest === true ? 10 : depth,
  }));
  return fused(members, { memberTimeoutMs: Math.ceil(0.8 * settings.timeoutMs) });
}

async function openPairScorer(settings: EngineSettings, context: EngineContext): Promise<PairScorer> {
  const { rerank } = settings;
  if (!isAddress(rerank)) return (await import("./rerank/onnx-pair-scorer.js")).openOnnxPairScorer(rerank);
  const { environment = process.env, http } = context;
  const { HttpPairScorer } = await import("./rerank/http-pair-scorer.js");
  const key = environment[rerankKeyVariable] ?? "";
  return new HttpPairScorer({ url: rerank, key, ...timesOf(settings) }, http);
}

interface Requests {
  /** The tools of an engine: they count its requests and let them wait for their turn. */
  gate(engine: EngineName | "rerank"): Partial<HttpTools>;
  /** The layer inside, with the counts of its requests if it can make any. */
  counted(inner: Layer): Layer;
}

function requestsOf(settings: EngineSettings, names: readonly EngineName[], context: EngineContext): Requests {
  const { maxRequests, pricePerThousand, requestsPerSecond } = settings;
  const { http = {}, requestsFile } = context;
  const priceOf = (engine: EngineName | "rerank"): number => {
    const listed = engine === "rerank" ? undefined : engines[engine].pricePerThousand;
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
    counted: (inner) => {
      if (!mayAskServers(settings, names)) return inner;
      return {
        name: inner.name,
        search: (queries, k, options) => inner.search(queries, k, options),
        counts: () => addCounts(inner.counts(), budget.counts()),
        close: () => inner.close(),
      };
    },
  };
}

/** Settings that are undefined count as not given. */
function withDefaults(given: Partial<EngineSettings> & { topK?: number }): EngineSettings & { topK?: number } {
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaultEngineSettings, ...Object.fromEntries(known) };
}

async function closingOnFailure<T>(engine: Pick<SearchEngine, "close">, opening: Promise<T>): Promise<T> {
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
