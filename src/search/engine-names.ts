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
