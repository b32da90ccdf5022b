/** @file From settings to web search. */
import type { EngineContext, EngineSettings } from "../settings.js";
import { WebEngine } from "./engine.js";
import { Pages } from "./pages.js";
import { webProviders } from "./providers.js";
import type { WebEngineName } from "./providers.js";

/**
 * Opens the search service that `settings.engine` names. Nothing is asked of it yet.
 * @throws UserError for a key that the environment lacks, and for SearXNG without an address
 */
export async function openWeb(
  provider: WebEngineName,
  { url, pages, timeoutMs }: EngineSettings,
  { environment = process.env, http }: EngineContext,
): Promise<WebEngine> {
  const keys = webProviders[provider].keys.map((name) => environment[name] ?? "");
  return new WebEngine(
    {
      provider,
      keys,
      ...(provider === "searxng" ? { endpoint: url } : {}),
      deadlineMs: timeoutMs,
      // Half of the time for one request, so that a second try fits into the deadline of the search.
      timeoutMs: Math.ceil(timeoutMs / 2),
      ...(pages ? { pages: new Pages() } : {}),
    },
    http,
  );
}
