/** @file Settings of a search engine that are each valid but make no sense together. */
import { UserError } from "../errors.js";
import { credentialIn } from "../http/credentials.js";
import { engineNames, engines, enginesNamed, ownSettings, readsSetting } from "./registry.js";
import type { EngineName, OwnSetting } from "./registry.js";
import { defaultEngineSettings, isAddress } from "./settings.js";
import type { EngineSettings } from "./settings.js";

/** Where the credentials for an address go. */
const keyVariables = {
  index: "the environment, as the storage names it (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, …)",
  url: "the environment: SLEUTH_SEARCH_TOKEN for http, OPENSEARCH_API_KEY or OPENSEARCH_PASSWORD, QDRANT_API_KEY",
  encoder: "the environment variable EMBEDDINGS_API_KEY",
  rerank: "the environment variable RERANK_API_KEY",
};
/** What older run files hold for BM25 where it was not set. */
const anserini: { readonly [Setting in OwnSetting]?: number } = { k1: 0.9, b: 0.4 };
/** In a run they come from other groups (`data.index`, `train.seed`), and stand there for other reasons too. */
const alwaysAllowed: readonly OwnSetting[] = ["index", "seed"];
const requestSettings = ["maxRequests", "pricePerThousand", "requestsPerSecond"] as const;

/** A set of engine settings, with what shows how many passages are wanted where that is known. */
type CheckedSettings = Omit<EngineSettings, "index" | "seed"> & Partial<EngineSettings> & { topK?: number };

/**
 * The engines that `settings.engine` names, when the settings make sense together.
 * @throws UserError naming the keys
 */
export function checkEngineSettings(settings: CheckedSettings): EngineName[] {
  const names = enginesNamed(settings.engine);
  for (const check of checks) check(settings, names);
  return names;
}

type Check = (settings: CheckedSettings, names: readonly EngineName[]) => void;

const checks: readonly Check[] = [
  function fusion({ engine, weights }, names) {
    const repeated = names.find((name, index) => names.indexOf(name) !== index);
    if (repeated !== undefined)
      throw new UserError(`search.engine is ${engine}, which names ${repeated} twice. Fuse different engines.`);
    const alone = names.find((name) => engines[name].alone !== undefined);
    if (names.length > 1 && alone !== undefined)
      throw new UserError(
        `search.engine is ${engine}, but ${alone} ${engines[alone].alone} and cannot be fused. Leave it out.`,
      );
    if (weights === "") return;
    if (names.length === 1)
      throw new UserError(
        `search.weights is ${weights}, but search.engine is ${engine}: there is nothing to weigh. Fuse engines with +, or drop the weights.`,
      );
    parseWeights(weights, names.length, engine);
  },

  function oneAddress({ engine }, names) {
    const remote = names.filter((name) => readsSetting(name, "url"));
    if (remote.length > 1)
      throw new UserError(
        `search.engine is ${engine}, but there is one search.url for ${remote.join(" and ")}. Fuse engines of which one is asked at an address; serve the other with sleuth serve search.`,
      );
  },

  function missing(settings, names) {
    for (const setting of ownSettings) {
      const advice = names.map((name) => engines[name].needs?.[setting]).find((needed) => needed !== undefined);
      if (advice !== undefined && settings[setting] === "")
        throw new UserError(`search.engine is ${settings.engine}, but search.${setting} is empty. ${advice}`);
    }
  },

  function unread(settings, names) {
    for (const setting of ownSettings) {
      const value = settings[setting];
      if (alwaysAllowed.includes(setting) || names.some((name) => readsSetting(name, setting))) continue;
      if (value === defaultEngineSettings[setting] || value === anserini[setting]) continue;
      const readers = engineNames.filter((name) => readsSetting(name, setting)).join(", ");
      // Texts are not shown: an address may hold a key.
      const what = `search.${setting} is ${typeof value === "string" ? "set" : String(value)}`;
      throw new UserError(
        `${what}, but search.engine is ${settings.engine} and would not use it. It goes with ${readers}: choose one of them with search.engine, or drop it.`,
      );
    }
  },

  /** Before anything is written: settings end up in run folders. Where a key goes instead, the message says. */
  function credentials(settings) {
    for (const key of ["index", "url", "encoder", "rerank"] as const) {
      const address = settings[key] ?? "";
      const credential = URL.canParse(address) ? credentialIn(new URL(address)) : undefined;
      if (credential !== undefined)
        throw new UserError(
          `${key === "index" ? "The address of the index" : `search.${key}`} holds ${credential}, and settings are written into run folders. Take it out, and put it into ${keyVariables[key]}.`,
        );
    }
  },

  function encoderModel({ encoder, encoderModel }) {
    if (encoderModel !== "" && encoder !== "" && !isAddress(encoder))
      throw new UserError(
        `search.encoderModel is ${encoderModel}, but search.encoder is ${encoder}: only /v1/embeddings endpoints are asked for a model by name. Drop one of them.`,
      );
  },

  function rerank({ rerank, rerankFrom, topK = 1 }) {
    const usual = defaultEngineSettings.rerankFrom;
    if (rerank === "" && rerankFrom !== usual)
      throw new UserError(
        `search.rerankFrom is ${rerankFrom}, but search.rerank is empty: nothing is reranked. Set search.rerank or drop it.`,
      );
    if (rerank !== "" && rerankFrom < topK)
      throw new UserError(
        `search.rerankFrom (${rerankFrom}) is below search.topK (${topK}): there would be fewer passages than are shown. Set search.rerankFrom=${Math.max(usual, topK)}.`,
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
    for (const key of requestSettings) {
      if (settings[key] !== 0)
        throw new UserError(
          `search.${key} is ${settings[key]}, but search.engine is ${settings.engine}, which asks no server. Drop it.`,
        );
    }
  },
];

/** Whether requests to servers are possible; an index may name an /v1/embeddings endpoint as its encoder. */
export function mayAskServers(
  { encoder, rerank }: Pick<EngineSettings, "encoder" | "rerank">,
  names: readonly EngineName[],
): boolean {
  const encodes = names.some((name) => readsSetting(name, "encoder")) && (encoder === "" || isAddress(encoder));
  return encodes || isAddress(rerank) || names.some((name) => engines[name].asksServers === true);
}

/**
 * Of settings that were given for several engines, those that one of them reads: the others are meant for its neighbours.
 * @throws UserError for an unknown name
 */
export function settingsOf(engine: string, given: Partial<EngineSettings>): Partial<EngineSettings> {
  const names = enginesNamed(engine);
  const own: Partial<EngineSettings> = { ...given, engine };
  if (names.length === 1) delete own.weights;
  for (const setting of ownSettings) if (!names.some((name) => readsSetting(name, setting))) delete own[setting];
  const asks = mayAskServers({ encoder: own.encoder ?? "", rerank: own.rerank ?? "" }, names);
  if (!asks) for (const key of requestSettings) delete own[key];
  return own;
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
