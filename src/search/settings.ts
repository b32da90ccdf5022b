/**
 * @file The settings of a search engine, once: type, bounds, default and help of each. The group `search` of a run configuration, the options of
 * `sleuth search` and `sleuth serve search`, and the type that engines are opened with derive from here.
 */
import { z } from "zod";
import type { HttpTools } from "../http/request.js";
import type { StoredPassage } from "../types.js";
import type { PassageSource } from "./passages.js";
import { areEngines, engineList } from "./registry.js";

const count = z.int().positive();
const countOrZero = z.int().nonnegative();
const text = (help: string) => z.string().default("").describe(help);
/** A number of BM25, or what the index was built with. */
const orAuto = (number: z.ZodNumber) => z.union([z.literal("auto"), number]).default("auto");

/** The group `search` of a run configuration. */
export const searchFields = {
  engine: z
    .string()
    .refine(areEngines, { error: `must be one of ${engineList}, or several joined by +` })
    .default("bm25")
    .describe(
      `${engineList}; several joined by + are fused (bm25+dense); random and empty are controls, none is no search at all`,
    ),
  topK: count.default(1).describe("passages shown per search"),
  k1: orAuto(z.number().nonnegative()).describe("BM25: saturation of term frequency; auto: the index's own, else 0.9"),
  b: orAuto(z.number().min(0).max(1)).describe(
    "BM25: strength of length normalisation; auto: the index's own, else 0.4",
  ),
  url: text("address of the server, for http, opensearch, qdrant and searxng"),
  collection: text("what is searched at the address: OpenSearch's index, Qdrant's collection, LanceDB's table"),
  encoder: text(
    "dense search: a folder with onnx/model.onnx, hf:ORG/NAME, or the address of an /v1/embeddings endpoint; empty: the one that the index names",
  ),
  encoderModel: text("the model's name at an /v1/embeddings endpoint"),
  weights: text("weights of fused engines in their order, like 1,0.5; empty: all 1"),
  rerank: text("reranks passages: a folder with a cross-encoder's onnx/model.onnx, hf:ORG/NAME, or a /rerank address"),
  rerankFrom: count.default(20).describe("passages per search that are reranked before topK are shown"),
  pages: z.boolean().default(false).describe("web search: read the pages that were found instead of their snippets"),
  cache: text("folder that keeps every answer, for exact re-runs without network"),
  cacheMode: z
    .enum(["use", "refresh", "replay"])
    .default("use")
    .describe(
      "use: ask for what is not kept; refresh: ask for everything anew; replay: never ask, what is not kept fails",
    ),
  maxRequests: countOrZero.default(0).describe("requests to servers per run, retries included; 0: no bound"),
  pricePerThousand: z
    .number()
    .nonnegative()
    .default(0)
    .describe("US dollars per thousand requests, for the estimate of what a run costs; 0: the engine's list price"),
  requestsPerSecond: z.number().nonnegative().default(0).describe("most requests to servers per second; 0: no bound"),
  timeoutMs: count
    .default(10_000)
    .describe("longest wait for one search, retries included; after it the search has failed"),
};

/** In a run configuration, `index` is `data.index` and `seed` is `train.seed`; `topK` is no setting of an engine. */
const engineSchema = z
  .object({
    index: text("an index made by sleuth index, for bm25, dense and lancedb"),
    ...searchFields,
    seed: countOrZero.default(0).describe("of the random engine"),
  })
  .omit({ topK: true });

export const engineFields = engineSchema.shape;

/** What an engine is opened with; each engine reads what concerns it. */
export type EngineSettings = z.output<typeof engineSchema>;

export const defaultEngineSettings: EngineSettings = engineSchema.parse({});

/** What engines take from their surroundings. */
export interface EngineContext {
  /** The passages of a corpus that has no index folder; absent where an index must be named. */
  passages?: () => Promise<readonly StoredPassage[]>;
  /** Is told of the passages that an engine has at hand when it is opened: a run measures its budgets by them. They close with the engine. */
  onPassages?: (passages: Pick<PassageSource, "count" | "isDeleted" | "read">) => void;
  /** Keys of web engines come from here. Default: the environment of this process. */
  environment?: Readonly<Record<string, string | undefined>>;
  /**
   * How servers are asked. Engines hand it on to the service that sends their requests, so that `beforeRequest` runs
   * before every try: the run's budget and rate are kept there. Tests bring a `fetch`.
   */
  http?: Partial<HttpTools>;
  /**
   * Where requests are recorded if they are bounded or cost money, so that a resumed run goes on counting.
   * Absent: they are counted for this opening alone.
   */
  requestsFile?: string;
}

/** Half of the time for one request, so that a second try fits into the deadline of the search. */
export function timesOf({ timeoutMs }: EngineSettings): { timeoutMs: number; deadlineMs: number } {
  return { timeoutMs: Math.ceil(timeoutMs / 2), deadlineMs: timeoutMs };
}

/** Whether a setting that takes folders and addresses holds an address. */
export function isAddress(location: string): boolean {
  return /^https?:\/\//i.test(location);
}
