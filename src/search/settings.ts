/** @file Settings of a search engine that are each valid but make no sense together. */
import { UserError, nearest } from "../errors.js";
import { credentialIn } from "../http/credentials.js";
import { engineNames, isWebEngine } from "./registry.js";
import type { EngineName } from "./registry.js";
import type { EngineSettings } from "./open.js";

/** Engines that are asked at an address. */
const served: readonly EngineName[] = ["http", "opensearch", "qdrant", "searxng"];
/** Engines that search vectors. */
const encoding: readonly EngineName[] = ["dense", "lancedb", "qdrant"];
const withCollection: readonly EngineName[] = ["opensearch", "qdrant", "lancedb"];
/** Where the credentials for an address go. */
const keyVariables = {
  url: "the environment: SLEUTH_SEARCH_TOKEN for http, OPENSEARCH_API_KEY or OPENSEARCH_PASSWORD, QDRANT_API_KEY",
  encoder: "the environment variable EMBEDDINGS_API_KEY",
  rerank: "the environment variable RERANK_API_KEY",
};
/** What older run files say of BM25 where nobody has set it. */
const anserini = { k1: 0.9, b: 0.4 };
/** What `rerankFrom` is where nobody has set it. */
const usualRerankFrom = 20;

/** A set of engine settings, with what shows how many passages are wanted where that is known. */
export type CheckedSettings = Omit<EngineSettings, "index" | "seed" | "timeoutMs"> & { topK?: number };

/**
 * The engines that `settings.engine` names, when the settings make sense together.
 * @throws UserError naming the keys
 */
export function checkEngineSettings(settings: CheckedSettings): EngineName[] {
  const names = enginesIn(settings.engine);
  for (const check of checks) check(settings, names);
  return names;
}

function enginesIn(engine: string): EngineName[] {
  const names = engine.split("+");
  for (const name of names) {
    if ((engineNames as readonly string[]).includes(name)) continue;
    const hint = nearest(name, engineNames);
    throw new UserError(
      `There is no search engine "${name}". ${hint === undefined ? `Engines: ${engineNames.join(", ")}.` : `Did you mean ${hint}?`}`,
    );
  }
  return names as EngineName[];
}

type Check = (settings: CheckedSettings, names: readonly EngineName[]) => void;

const checks: readonly Check[] = [
  function fusion({ engine, weights }, names) {
    const repeated = names.find((name, index) => names.indexOf(name) !== index);
    if (repeated !== undefined)
      throw new UserError(`search.engine is ${engine}, which names ${repeated} twice. Fuse different engines.`);
    if (names.length > 1 && names.includes("none"))
      throw new UserError(
        `search.engine is ${engine}, but none stands for no search at all and cannot be fused. Leave it out.`,
      );
    if (weights === "") return;
    if (names.length === 1)
      throw new UserError(
        `search.weights is ${weights}, but search.engine is ${engine}: there is nothing to weigh. Fuse engines with +, or drop the weights.`,
      );
    parseWeights(weights, names.length, engine);
  },

  function address({ engine, url }, names) {
    const remote = names.filter((name) => served.includes(name));
    if (remote.length > 1)
      throw new UserError(
        `search.engine is ${engine}, but there is one search.url for ${remote.join(" and ")}. Fuse engines of which one is asked at an address; serve the other with sleuth serve search.`,
      );
    if (remote.length === 1 && url === "")
      throw new UserError(
        `search.engine is ${engine}, but search.url is empty. Set search.url, for example http://127.0.0.1:8000/retrieve.`,
      );
    if (remote.length === 0 && url !== "")
      throw new UserError(
        `search.url is set, but search.engine is ${engine} and would not use it. Set search.engine=http or drop the url.`,
      );
  },

  /** Before anything is written: settings end up in run folders. Where a key goes instead, the message says. */
  function credentials(settings) {
    for (const key of ["url", "encoder", "rerank"] as const) {
      const credential = URL.canParse(settings[key]) ? credentialIn(new URL(settings[key])) : undefined;
      if (credential !== undefined)
        throw new UserError(
          `search.${key} holds ${credential}, and settings are written into run folders. Take it out, and put it into ${keyVariables[key]}.`,
        );
    }
  },

  function collection({ engine, collection }, names) {
    const needs = names.find((name) => name === "opensearch" || name === "qdrant");
    if (needs !== undefined && collection === "") {
      const what = needs === "qdrant" ? "collection" : "index";
      throw new UserError(`search.engine is ${engine}, but search.collection is empty. Name the ${what} to search.`);
    }
    if (collection !== "" && !names.some((name) => withCollection.includes(name)))
      throw new UserError(
        `search.collection is ${collection}, but search.engine is ${engine} and has none. It goes with ${withCollection.join(", ")}.`,
      );
  },

  function encoder({ engine, encoder, encoderModel }, names) {
    if (names.includes("qdrant") && encoder === "")
      throw new UserError(
        `search.engine is ${engine}, but search.encoder is empty. Name the encoder that made the collection's vectors: a folder, hf:ORG/NAME or the address of an /v1/embeddings endpoint.`,
      );
    if (encoder !== "" && !names.some((name) => encoding.includes(name)))
      throw new UserError(
        `search.encoder is set, but search.engine is ${engine} and would not use it. It goes with ${encoding.join(", ")}.`,
      );
    if (encoderModel !== "" && encoder !== "" && !isAddress(encoder))
      throw new UserError(
        `search.encoderModel is ${encoderModel}, but search.encoder is ${encoder}: only /v1/embeddings endpoints are asked for a model by name. Drop one of them.`,
      );
    if (encoderModel !== "" && !names.some((name) => encoding.includes(name)))
      throw new UserError(
        `search.encoderModel is set, but search.engine is ${engine} and would not use it. It goes with ${encoding.join(", ")}.`,
      );
  },

  function ranking(settings, names) {
    if (names.includes("bm25")) return;
    for (const key of ["k1", "b"] as const) {
      const value = settings[key];
      if (value !== undefined && value !== anserini[key])
        throw new UserError(
          `search.${key} is ${value}, but search.engine is ${settings.engine} and would not use it. It goes with bm25.`,
        );
    }
  },

  function rerank({ rerank, rerankFrom, topK = 1 }) {
    if (rerank === "" && rerankFrom !== usualRerankFrom)
      throw new UserError(
        `search.rerankFrom is ${rerankFrom}, but search.rerank is empty: nothing is ordered anew. Set search.rerank or drop it.`,
      );
    if (rerank !== "" && rerankFrom < topK)
      throw new UserError(
        `search.rerankFrom (${rerankFrom}) is below search.topK (${topK}): there would be fewer passages than are shown. Set search.rerankFrom=${Math.max(usualRerankFrom, topK)}.`,
      );
  },

  function pages({ engine, pages }, names) {
    if (pages && !names.some(isWebEngine))
      throw new UserError(
        `search.pages is true, but search.engine is ${engine}, which finds no web pages. It goes with ${engineNames.filter(isWebEngine).join(", ")}.`,
      );
  },

  function cache({ cache, cacheMode }) {
    if (cacheMode !== "use" && cache === "")
      throw new UserError(
        `search.cacheMode is ${cacheMode}, but search.cache is empty: there is no folder to ${cacheMode === "replay" ? "read answers from" : "keep answers in"}. Set search.cache.`,
      );
  },

  function requests(settings, names) {
    if (mayAskServers(settings, names)) return;
    const { engine } = settings;
    for (const key of ["maxRequests", "pricePerThousand", "requestsPerSecond"] as const) {
      if (settings[key] !== 0)
        throw new UserError(
          `search.${key} is ${settings[key]}, but search.engine is ${engine}, which asks no server. Drop it.`,
        );
    }
  },
];

/** Whether requests to servers are possible; an index may name an /v1/embeddings endpoint as its encoder. */
export function mayAskServers(
  { encoder, rerank }: Pick<EngineSettings, "encoder" | "rerank">,
  names: readonly EngineName[],
): boolean {
  const asks = (name: EngineName): boolean => served.includes(name) || isWebEngine(name);
  const encodes = names.some((name) => encoding.includes(name)) && (encoder === "" || isAddress(encoder));
  return names.some(asks) || encodes || isAddress(rerank);
}

export function isAddress(location: string): boolean {
  return /^https?:\/\//i.test(location);
}

/**
 * Weights in the order of the engines; all 1 where nothing is said.
 * @throws UserError for what is no list of so many numbers
 */
export function parseWeights(weights: string, count: number, engine: string): number[] {
  if (weights === "") return new Array<number>(count).fill(1);
  const values = weights.split(",").map((text) => (text.trim() === "" ? Number.NaN : Number(text)));
  if (values.length !== count)
    throw new UserError(
      `search.weights is ${weights}, but search.engine is ${engine}: give one weight for each of the ${count} engines.`,
    );
  if (values.some((value) => !Number.isFinite(value) || value < 0) || values.every((value) => value === 0))
    throw new UserError(
      `search.weights is ${weights}: weights are numbers of 0 or more, not all of them 0, with commas between them.`,
    );
  return values;
}
