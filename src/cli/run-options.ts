/** @file The options that train, eval, ask and demo share, and the configuration they amount to. */
import path from "node:path";
import { InvalidArgumentError, Option, type Command } from "commander";
import type { z } from "zod";
import { parseMemory } from "../engine/memory/limit.js";
import { serverKeyVariable } from "../policy/served/served.js";
import { presets, type PresetName } from "../recipes/presets.js";
import { faithful } from "../recipes/search-r1/faithful.js";
import {
  applySets,
  configKeys,
  mergeConfig,
  parseConfig,
  refuseUnknownKeys,
  type Config,
  type ConfigInput,
} from "../train/config/config.js";
import { fields, groupHelp } from "../train/config/fields.js";
import { shellWord } from "../printable.js";
import { optionOf } from "./options.js";
import type { Terminal } from "./terminal/terminal.js";
import { findConfigFile, loadConfig } from "../train/config/file.js";
import { readRunConfig } from "../train/run-folder.js";
import { modelOfRun } from "../train/run-models.js";

export interface RunOptions {
  config?: string;
  set?: string[];
  questions?: string;
  corpus?: string;
  index?: string;
  searchUrl?: string;
  model?: string;
  memory?: string;
  preset?: PresetName;
  faithful?: boolean;
  server?: string;
  serverModel?: string;
}

/** Adds --questions --corpus --index --search-url --model --memory --config --set. */
export function addRunOptions(command: Command): void {
  command
    .option(
      "--questions <source>",
      'questions, one JSON object per line: {"id","question","answers":[…]}; or a folder of them, divided (sleuth questions make)',
    )
    .option("--corpus <file>", 'passages to search, one JSON object per line: {"id","contents"}')
    .option("--index <folder>", "search this index (made by sleuth index) instead of a corpus")
    .option("--search-url <url>", "ask a /retrieve server instead of searching here");
  addSettings(command);
}

/** Adds --model --memory --config --set. */
export function addSettings(command: Command): void {
  command
    .option("--model <model>", "to start from: a Hugging Face folder, a .gguf file, hf:ORG/NAME or an adapter folder")
    .option(
      "--memory <amount>",
      "most memory to plan for, as 8GB; without it, most of the machine's (run.memory)",
      amountOfMemory,
    )
    .option("--config <file>", "sleuth.config.ts or JSON; without it, the one in this folder where there is one")
    .option("--set <key=value>", "set any key of the configuration; may be repeated", collect);
}

/** Adds --server and --server-model. */
export function addServer(command: Command): void {
  command
    .option(
      "--server <url>",
      "ask a model behind an OpenAI-compatible server, as http://127.0.0.1:8000/v1 (server.url)",
    )
    .option(
      "--server-model <name>",
      `the model's name at --server; without it, the only one that it has (server.model). A key is read from ${serverKeyVariable}`,
    );
}

/** Adds --preset and --faithful. */
export function addRecipeOptions(command: Command): void {
  addPreset(command);
  addFaithful(command);
}

/** Adds --preset. */
export function addPreset(command: Command): void {
  command.addOption(
    new Option("--preset <name>", "begin with these settings; file, flags and --set change them").choices(
      Object.keys(presets),
    ),
  );
}

/** Adds --faithful. */
export function addFaithful(command: Command): void {
  command.option(
    "--faithful",
    "compute as the released code of Search-R1 does where ours differs: every key of the group faithful (--set turns one off again); a collapse is only told of",
  );
}

/** The presets, for the end of a help page. */
export function presetHelp(): string {
  const width = Math.max(...Object.keys(presets).map((name) => name.length));
  const lines = Object.entries(presets).map(([name, { help }]) => `  ${name.padEnd(width)}  ${help}`);
  return ["\nPresets:", ...lines].join("\n");
}

/** All keys with their defaults, for the end of a help page. */
export function configHelp(): string {
  const keys = configKeys();
  const width = Math.max(...keys.map((key) => `${key.path}=${JSON.stringify(key.default)}`.length));
  const groups = Object.entries(groupHelp).map(([group, meaning]) => {
    const lines = keys
      .filter((key) => key.group === group)
      .map((key) => `    ${`${key.path}=${JSON.stringify(key.default)}`.padEnd(width)}  ${key.help}`);
    return [`  ${group}: ${meaning}`, ...lines].join("\n");
  });
  return `\nConfiguration keys and their defaults, for --set and --config:\n${groups.join("\n")}`;
}

/**
 * The configuration that preset, file, flags and settings amount to; later ones win: preset, file, the shared flags, `flags`, `--set`.
 * @param terminal is told before the file of the current folder is read, which nobody named: it is code, unless it ends in .json
 * @throws UserError for unknown keys, wrong values and contradictions
 */
export async function configOf(
  options: RunOptions,
  flags: ConfigInput = {},
  terminal?: Pick<Terminal, "note">,
): Promise<Config> {
  const file = options.config ?? findConfigFile();
  if (file !== undefined && options.config === undefined)
    terminal?.note(`${file.endsWith(".json") ? "Reading" : "Running"} ${path.basename(file)} of this folder.`);
  const usual = options.server === undefined ? {} : usualOfServed;
  const preset = options.preset === undefined ? usual : mergeConfig(usual, presets[options.preset].config);
  if (file === undefined) return configOver(preset, options, flags);
  const fromFile = await loadConfig(file);
  refuseUnknownKeys(fromFile, file);
  const base = mergeConfig(preset, fromFile);
  // What is wrong without the flags is the file's.
  parseConfig(base, file);
  return configOver(base, options, flags);
}

/** Models behind servers write more than small ones: Search-R1's turns have 500 tokens at most. */
const usualOfServed: ConfigInput = { rollout: { maxTokensPerTurn: 500 } };

/** The same over a configuration that is known, for example that of a run. */
export function configOver(base: ConfigInput, options: RunOptions, flags: ConfigInput = {}): Config {
  const merged = [runFlags(options), flags].reduce(mergeConfig, base);
  return parseConfig(applySets(merged, options.set ?? []));
}

/** What the shared flags set. */
function runFlags(options: RunOptions): ConfigInput {
  const { questions, corpus, index, searchUrl, model, memory, server, serverModel } = options;
  return withoutUndefined({
    data: { questions, corpus, index },
    search: searchUrl === undefined ? {} : { engine: "http" as const, url: searchUrl },
    model: { folder: model },
    server: { url: server, model: serverModel },
    run: { memory },
    faithful: options.faithful ? faithful : {},
    // The released code has no watch.
    watch: { action: options.faithful ? "warn" : undefined },
  });
}

/** Flags that were not given must not hide what the file says. */
export function withoutUndefined(config: Record<string, Record<string, unknown>>): ConfigInput {
  return Object.fromEntries(
    Object.entries(config).map(([group, keys]) => [
      group,
      Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined)),
    ]),
  );
}

/**
 * Flags of this command line that the next one wants, too, in words for a shell, each after a space: ` --preset documents --index "my index"`. Empty where none was given.
 */
export function flagsAgain(options: RunOptions, names: readonly (keyof typeof flagNames)[]): string {
  return names
    .map((name) => {
      const value = options[name];
      return value === undefined ? "" : ` ${flagNames[name]} ${shellWord(value)}`;
    })
    .join("");
}

const flagNames = {
  preset: "--preset",
  config: "--config",
  questions: "--questions",
  corpus: "--corpus",
  index: "--index",
  searchUrl: "--search-url",
  server: "--server",
  serverModel: "--server-model",
} as const satisfies Partial<Record<keyof RunOptions, string>>;

/** Where questions and passages are. */
export const sourceFlags = ["questions", "corpus", "index", "searchUrl"] as const;

/** For options that may be repeated. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** The option of a key of the configuration, with the key's bounds: `--min-reward` for `sft.minReward`. */
export function keyOption(path: string, help?: string): Option {
  const [group, key] = path.split(".");
  const field = (fields as Record<string, Record<string, z.ZodType>>)[group][key];
  return optionOf(key, field, { help: `${help ?? field.description} (${path})` });
}

/** Parses an integer of at least `least`. */
export function integer(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`Expected an integer of at least ${least}.`);
    return value;
  };
}

function amountOfMemory(text: string): string {
  try {
    parseMemory(text, "--memory");
    return text;
  } catch {
    throw new InvalidArgumentError("Expected a number and MB or GB, for example 8GB or 512MB.");
  }
}

/** Parses a number. */
export function numberOption(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("Expected a number.");
  return value;
}

export interface ModelOptions extends RunOptions {
  run?: string;
}

/**
 * The configuration with `model.folder` set to the model that is meant. Of a run, everything else is as it was trained
 * with, unless flags say otherwise.
 * @throws UserError when a run has no model yet, or its best one is damaged
 */
export async function configOfModel(options: ModelOptions, terminal?: Pick<Terminal, "note">): Promise<Config> {
  if (options.run === undefined) return configOf(options, {}, terminal);
  const saved = await readRunConfig(options.run);
  const folder = options.model ?? (await modelOfRun(options.run));
  return configOver(mergeConfig(saved, { model: { folder } }), options);
}
