/** @file The options that `sleuth search` and `sleuth serve search` share, and the settings of a search engine that they amount to. */
import type { Command } from "commander";
import { engineFields } from "../search/settings.js";
import type { EngineSettings } from "../search/settings.js";
import { optionOf } from "./options.js";

/** What stands for values on help pages, where it is more than a number or a text. */
const argumentOf: { readonly [Setting in keyof EngineSettings]?: string } = {
  engine: "names",
  index: "folder",
  url: "url",
  collection: "name",
  encoder: "model",
  encoderModel: "name",
  weights: "numbers",
  rerank: "model",
  cache: "folder",
  cacheMode: "mode",
  pricePerThousand: "dollars",
};

/** Adds one option per setting of an engine, described as in a run file. */
export function addEngineOptions(command: Command): void {
  for (const [key, field] of Object.entries(engineFields)) {
    const help = `${field.description}${key === "url" ? "; alone it means --engine http" : ""}`;
    command.addOption(optionOf(key, field, { argument: argumentOf[key as keyof EngineSettings], help }));
  }
}

/** What the options say, for `openEngine`; what was not given is left to its defaults. An address alone means a `/retrieve` server. */
export function engineSettings(options: Readonly<Record<string, unknown>>): Partial<EngineSettings> {
  const given = Object.entries(options).filter(([key, value]) => key in engineFields && value !== undefined);
  const settings: Partial<EngineSettings> = Object.fromEntries(given);
  return settings.url !== undefined && settings.engine === undefined ? { ...settings, engine: "http" } : settings;
}
