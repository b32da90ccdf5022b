/** @file The settings of one engine among several: what concerns it of what was given for all. */
import { engineNames, isWebEngine } from "../search/registry.js";
import type { EngineName } from "../search/registry.js";
import type { EngineSettings } from "../search/open.js";

const atAddresses = ["http", "opensearch", "qdrant", "searxng"];
const withVectors = ["dense", "lancedb", "qdrant"];
const withCollections = ["opensearch", "qdrant", "lancedb"];
const paid = ["maxRequests", "pricePerThousand", "requestsPerSecond"] as const;

/** A setting that an engine would not use is an error for that engine alone, but meant for its neighbour where several are shown. */
export function columnSettings(settings: Partial<EngineSettings>, engine: string): Partial<EngineSettings> {
  const names = engine.split("+");
  const among = (list: readonly string[]): boolean => names.some((name) => list.includes(name));
  const own: Partial<EngineSettings> = { ...settings, engine };
  if (names.length === 1) delete own.weights;
  if (!names.includes("bm25")) {
    delete own.k1;
    delete own.b;
  }
  if (!among(atAddresses)) delete own.url;
  if (!among(withCollections)) delete own.collection;
  if (!among(withVectors)) {
    delete own.encoder;
    delete own.encoderModel;
  }
  const searchesWeb = engineNames.some((name: EngineName) => isWebEngine(name) && names.includes(name));
  if (!searchesWeb) delete own.pages;
  const isAddress = (location = ""): boolean => /^https?:\/\//i.test(location);
  const asksServers = searchesWeb || among(atAddresses) || isAddress(own.encoder) || isAddress(own.rerank);
  if (!asksServers) for (const key of paid) delete own[key];
  return own;
}
