/** @file The options that `sleuth search` and `sleuth serve search` share, and the settings of a search engine that they amount to. */
import { Option } from "commander";
import type { Command } from "commander";
import type { EngineSettings } from "../search/open.js";
import { fields } from "../train/config/fields.js";
import { integer, numberOption } from "./run-options.js";

interface EngineOption {
  flag: string;
  /** Reads the text; absent for text that is taken as it is, and for switches. */
  read?: (text: string) => unknown;
  choices?: readonly string[];
  /** The default where no flag is given lies with `openEngine`. */
  help: string;
}

const { search } = fields;

/** One option for each setting of an engine. What a run file knows too is described in the same words. */
const engineOptions: Readonly<Record<keyof EngineSettings, EngineOption>> = {
  engine: { flag: "--engine <names>", help: help("engine") },
  index: { flag: "--index <folder>", help: "an index made by sleuth index, for bm25, dense and lancedb" },
  url: { flag: "--url <url>", help: `${help("url")}; alone it means --engine http` },
  collection: { flag: "--collection <name>", help: help("collection") },
  encoder: { flag: "--encoder <model>", help: help("encoder") },
  encoderModel: { flag: "--encoder-model <name>", help: help("encoderModel") },
  k1: { flag: "--k1 <number>", read: numberOption, help: "another saturation of term frequency than the index's" },
  b: { flag: "--b <number>", read: numberOption, help: "another strength of length normalisation than the index's" },
  weights: { flag: "--weights <numbers>", help: help("weights") },
  rerank: { flag: "--rerank <model>", help: help("rerank") },
  rerankFrom: { flag: "--rerank-from <number>", read: integer(1), help: help("rerankFrom") },
  pages: { flag: "--pages", help: help("pages") },
  cache: { flag: "--cache <folder>", help: help("cache") },
  cacheMode: { flag: "--cache-mode <mode>", choices: ["use", "refresh", "replay"], help: help("cacheMode") },
  maxRequests: { flag: "--max-requests <number>", read: integer(0), help: help("maxRequests") },
  pricePerThousand: { flag: "--price-per-thousand <dollars>", read: numberOption, help: help("pricePerThousand") },
  requestsPerSecond: { flag: "--requests-per-second <number>", read: numberOption, help: help("requestsPerSecond") },
  timeoutMs: { flag: "--timeout-ms <number>", read: integer(1), help: help("timeoutMs") },
  seed: { flag: "--seed <number>", read: integer(0), help: "of the random engine" },
};

/** Adds one option per setting of an engine. */
export function addEngineOptions(command: Command): void {
  for (const { flag, read, choices, help } of Object.values(engineOptions)) {
    const option = new Option(flag, help);
    if (choices !== undefined) option.choices(choices);
    else if (read !== undefined) option.argParser(read);
    command.addOption(option);
  }
}

/** What the options say, for `openEngine`; what was not given is left to its defaults. An address alone means a `/retrieve` server. */
export function engineSettings(options: Readonly<Record<string, unknown>>): Partial<EngineSettings> {
  const given = Object.keys(engineOptions).flatMap((key) =>
    options[key] === undefined ? [] : [[key, options[key]] as const],
  );
  const settings: Partial<EngineSettings> = Object.fromEntries(given);
  return settings.url !== undefined && settings.engine === undefined ? { ...settings, engine: "http" } : settings;
}

function help(key: keyof typeof search): string {
  return search[key].description ?? "";
}
