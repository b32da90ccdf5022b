/** @file The group `search` of a configuration as settings of a search engine. */
import type { EngineSettings } from "../../search/open.js";
import type { Config } from "./config.js";

/** What is "auto" is left to the engine. */
export function searchSettings({ k1, b, ...search }: Config["search"]): Omit<EngineSettings, "index" | "seed"> & {
  topK: number;
} {
  return { ...search, k1: numberOrNone(k1), b: numberOrNone(b) };
}

export function numberOrNone(value: number | "auto"): number | undefined {
  return value === "auto" ? undefined : value;
}
