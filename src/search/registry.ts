/** @file The engines by name, as run files and the command line spell them. */

export const engineNames = [
  "bm25",
  "dense",
  "lancedb",
  "http",
  "opensearch",
  "qdrant",
  "serper",
  "serpapi",
  "google",
  "brave",
  "tavily",
  "searxng",
  "random",
  "empty",
  "none",
] as const;

export type EngineName = (typeof engineNames)[number];

const webEngineNames: readonly EngineName[] = ["serper", "serpapi", "google", "brave", "tavily", "searxng"];

/** Whether an engine searches the web: one request a query, and pages behind what it finds. */
export function isWebEngine(name: EngineName): boolean {
  return webEngineNames.includes(name);
}
