/** @file Engines that ask a server, from settings. That addresses and encoders are named was checked by `openEngine`. */
import { openEncoder } from "../dense/open-encoder.js";
import { timesOf, type EngineContext, type EngineSettings } from "../settings.js";
import { HttpEngine } from "./http.js";
import { OpenSearchEngine } from "./opensearch.js";
import { QdrantEngine } from "./qdrant.js";

/** A `/retrieve` server; SLEUTH_SEARCH_TOKEN is sent to it where it is set. */
export async function openHttp(
  settings: EngineSettings,
  { environment = process.env, http }: EngineContext,
): Promise<HttpEngine> {
  const { SLEUTH_SEARCH_TOKEN: token = "" } = environment;
  return new HttpEngine({ url: settings.url, token, ...timesOf(settings) }, http);
}

/** OPENSEARCH_API_KEY, or OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD; for Elasticsearch too. */
export function openOpenSearch(
  settings: EngineSettings,
  { environment = process.env, http }: EngineContext,
): Promise<OpenSearchEngine> {
  const { OPENSEARCH_API_KEY: apiKey = "" } = environment;
  const { OPENSEARCH_USERNAME: username = "", OPENSEARCH_PASSWORD: password = "" } = environment;
  const { url, collection } = settings;
  return OpenSearchEngine.open({ url, collection, apiKey, username, password, ...timesOf(settings) }, http);
}

/** QDRANT_API_KEY; the encoder must be the one that made the vectors. */
export async function openQdrant(
  settings: EngineSettings,
  { environment = process.env, http }: EngineContext,
): Promise<QdrantEngine> {
  const { url, collection, encoder: location, encoderModel, timeoutMs } = settings;
  const source = { location, ...(encoderModel === "" ? {} : { model: encoderModel }) };
  const encoder = await openEncoder(source, { timeoutMs, http, environment });
  try {
    const { QDRANT_API_KEY: apiKey = "" } = environment;
    return await QdrantEngine.open({ url, collection, apiKey, ...timesOf(settings) }, encoder, http);
  } catch (error) {
    await encoder.close();
    throw error;
  }
}
