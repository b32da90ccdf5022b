/**
 * @file Engines that ask a server, from settings: keys come from the environment, and time is divided so that a second try
 * fits. That addresses and encoders are named was checked by `openEngine`.
 */
import type { EngineContext, EngineSettings } from "../settings.js";
import { HttpEngine } from "./http.js";
import { openEncoder } from "../dense/open-encoder.js";
import { OpenSearchEngine } from "./opensearch.js";
import { QdrantEngine } from "./qdrant.js";

/** A `/retrieve` server; SLEUTH_SEARCH_TOKEN is sent to it where it is set. */
export async function openHttp(settings: EngineSettings, context: EngineContext): Promise<HttpEngine> {
  const { SLEUTH_SEARCH_TOKEN: token = "" } = environmentOf(context);
  return new HttpEngine({ url: settings.url, token, ...timesOf(settings) }, context.http);
}

/** OPENSEARCH_API_KEY, or OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD; for Elasticsearch too. */
export function openOpenSearch(settings: EngineSettings, context: EngineContext): Promise<OpenSearchEngine> {
  const environment = environmentOf(context);
  return OpenSearchEngine.open(
    {
      url: settings.url,
      collection: settings.collection,
      apiKey: environment.OPENSEARCH_API_KEY ?? "",
      username: environment.OPENSEARCH_USERNAME ?? "",
      password: environment.OPENSEARCH_PASSWORD ?? "",
      ...timesOf(settings),
    },
    context.http,
  );
}

/** QDRANT_API_KEY; the encoder must be the one that made the vectors. */
export async function openQdrant(settings: EngineSettings, context: EngineContext): Promise<QdrantEngine> {
  const { url, collection, encoder: location, encoderModel, timeoutMs } = settings;
  const { environment, http } = context;
  const source = { location, ...(encoderModel === "" ? {} : { model: encoderModel }) };
  const encoder = await openEncoder(source, { timeoutMs, http, ...(environment === undefined ? {} : { environment }) });
  try {
    const apiKey = environmentOf(context).QDRANT_API_KEY ?? "";
    return await QdrantEngine.open({ url, collection, apiKey, ...timesOf(settings) }, encoder, context.http);
  } catch (error) {
    await encoder.close();
    throw error;
  }
}

/** Half of the time for one request, so that a second try fits into the deadline of the search. */
function timesOf({ timeoutMs }: EngineSettings): { timeoutMs: number; deadlineMs: number } {
  return { timeoutMs: Math.ceil(timeoutMs / 2), deadlineMs: timeoutMs };
}

function environmentOf({ environment = process.env }: EngineContext): Readonly<Record<string, string | undefined>> {
  return environment;
}
