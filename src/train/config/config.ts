/** @file The configuration of a run: its schema, checks and settings from a command line, all derived from the table of keys. */
import { z } from "zod";
import { nearest, UserError } from "../../errors.js";
import { refuseContradictorySettings } from "../../algorithms/contradictions.js";
import { methodNames, methods, searchesAtAll } from "../../rollout/methods/named.js";
import { budgetKeys } from "../../rollout/settings.js";
import { checkEngineSettings } from "../../search/contradictions.js";
import { fields } from "./fields.js";

/** The schema of a whole configuration; every key has a default. */
export const configSchema = z.strictObject({
  model: z.strictObject(fields.model).prefault({}),
  server: z.strictObject(fields.server).prefault({}),
  data: z.strictObject(fields.data).prefault({}),
  search: z.strictObject(fields.search).prefault({}),
  rollout: z.strictObject(fields.rollout).prefault({}),
  reward: z.strictObject(fields.reward).prefault({}),
  algorithm: z.strictObject(fields.algorithm).prefault({}),
  critic: z.strictObject(fields.critic).prefault({}),
  faithful: z.strictObject(fields.faithful).prefault({}),
  optimizer: z.strictObject(fields.optimizer).prefault({}),
  train: z.strictObject(fields.train).prefault({}),
  watch: z.strictObject(fields.watch).prefault({}),
  sft: z.strictObject(fields.sft).prefault({}),
  run: z.strictObject(fields.run).prefault({}),
});

/** A complete configuration. */
export type Config = z.output<typeof configSchema>;
/** What a person writes: any subset of the keys. */
export type ConfigInput = z.input<typeof configSchema>;

/** Gives a `sleuth.config.ts` its types; returns its argument. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config;
}

/** One key with all that help pages and tables need. */
interface ConfigKey {
  /** `group.key`, as `--set` takes it. */
  path: string;
  group: string;
  /** For people: `number`, `true | false`, `"grpo" | "reinforce"`, … */
  type: string;
  default: unknown;
  help: string;
}

/** Every key, in the order of the table above. */
export function configKeys(): ConfigKey[] {
  return Object.entries(fields).flatMap(([group, keys]) =>
    Object.entries(keys as Record<string, z.ZodDefault<z.ZodType>>).map(([key, schema]) => ({
      path: `${group}.${key}`,
      group,
      type: typeOf(schema),
      default: schema.parse(undefined),
      help: schema.description ?? "",
    })),
  );
}

function typeOf(schema: z.ZodType): string {
  const inner = schema instanceof z.ZodDefault ? (schema.unwrap() as z.ZodType) : schema;
  if (inner instanceof z.ZodUnion) return (inner.options as z.ZodType[]).map(typeOf).join(" | ");
  if (inner instanceof z.ZodLiteral) return JSON.stringify(inner.value);
  if (inner instanceof z.ZodEnum) return inner.options.map((option) => `"${option}"`).join(" | ");
  if (inner instanceof z.ZodBoolean) return "true | false";
  if (inner instanceof z.ZodRecord)
    return inner.valueType instanceof z.ZodNumber ? "{ name: number }" : "{ name: value }";
  if (inner instanceof z.ZodArray) return "[{ from, weights }]";
  if (inner instanceof z.ZodString) return "text";
  return inner instanceof z.ZodNumber && inner.format === "safeint" ? "integer" : "number";
}

/**
 * Checks a configuration and fills in the defaults.
 * @param source names it in error messages, for example the file's path
 * @throws UserError for unknown keys (naming the nearest valid one), wrong types, bounds and contradictions
 */
export function parseConfig(input: unknown, source = "the configuration"): Config {
  refuseUnknownKeys(input, source);
  const result = configSchema.safeParse(input);
  if (!result.success) {
    const lines = result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    throw new UserError(`${source} has values that cannot be used. ${lines.join("; ")}. See sleuth train --help.`);
  }
  refuseContradictions(result.data);
  return result.data;
}

/**
 * @param source as for `parseConfig`
 * @throws UserError for what is no object of groups of known keys
 */
export function refuseUnknownKeys(input: unknown, source: string): void {
  if (!isRecord(input)) throw new UserError(`${source} must be an object of groups such as train and search.`);
  for (const [group, keys] of Object.entries(input)) {
    if (!(group in fields)) throw unknownKey(group, source);
    if (!isRecord(keys)) throw new UserError(`${group} in ${source} must be an object, like { … }.`);
    const known = fields[group as keyof typeof fields];
    for (const key of Object.keys(keys)) if (!(key in known)) throw unknownKey(`${group}.${key}`, source);
  }
}

/** An unknown key, with the nearest of all keys: those of its name if someone forgot the group, else by its whole path. */
function unknownKey(path: string, source: string): UserError {
  const paths = configKeys().map((key) => key.path);
  const last = path.slice(path.lastIndexOf(".") + 1);
  const byName = paths.filter((known) => known.slice(known.indexOf(".") + 1) === last).join(" or ");
  const groups = Object.keys(fields);
  const hint = byName !== "" ? byName : nearest(path, path.includes(".") ? paths : [...groups, ...paths]);
  const suggestion = hint === undefined ? `The groups are ${groups.join(", ")}.` : `Did you mean ${hint}?`;
  return new UserError(`${path} in ${source} is not a known key. ${suggestion} sleuth train --help lists all keys.`);
}

/** Methods that search for nothing. */
const searchless = methodNames.filter((name) => !methods[name].searches);

/** Settings that are each valid but make no sense together. */
function refuseContradictions(config: Config): void {
  refuseContradictorySettings(config);
  const { data, search, rollout, reward, train, server } = config;
  const forServer = (["model", "tokenizer"] as const).find((key) => server.url === "" && server[key] !== "");
  if (forServer !== undefined)
    throw new UserError(
      `server.${forServer} is set, but server.url is empty: no server would be asked. Give its address with --server (server.url), or leave server.${forServer} out.`,
    );
  // An index may have an address too. That there has to be one is known when it is opened.
  checkEngineSettings(data.index === "" ? search : { ...search, index: data.index });
  if (rollout.method === "search-r1" && rollout.context === "question" && search.engine === "none") {
    throw new UserError(
      "rollout.context is question, but search.engine is none: there is nothing to search the question in. " +
        "For RAG set rollout.maxSearches=0 and keep a search engine; for no search at all set rollout.context=none.",
    );
  }
  if (rollout.method !== "search-r1" && search.engine === "none" && searchesAtAll(rollout)) {
    throw new UserError(
      `rollout.method is ${rollout.method}, which searches, but search.engine is none. Keep a search engine, or take a method without search: ${searchless.join(", ")}.`,
    );
  }
  if (rollout.maxTokens !== "auto" && rollout.maxTokensPerTurn > rollout.maxTokens) {
    throw new UserError(
      `rollout.maxTokensPerTurn (${rollout.maxTokensPerTurn}) is larger than rollout.maxTokens (${rollout.maxTokens}): ` +
        "one turn cannot be longer than the trajectory. Lower the first or raise the second.",
    );
  }
  const [first] = reward.stages;
  const empty = reward.stages.find(({ weights }) => Object.values(weights).every((weight) => weight === 0));
  if (empty !== undefined) {
    throw new UserError(
      `The weights of the stage from step ${empty.from} (reward.stages) are all 0: there is nothing to learn. Give one a weight.`,
    );
  }
  if (first?.from !== 0 && Object.values(reward.weights).every((weight) => weight === 0)) {
    throw new UserError(
      "reward.weights are all 0: there is nothing to learn. Give one a weight, for example reward.weights.exact-match=1.",
    );
  }
  if (train.updatesPerBatch > train.questionsPerStep) {
    throw new UserError(
      `train.updatesPerBatch (${train.updatesPerBatch}) exceeds train.questionsPerStep (${train.questionsPerStep}): ` +
        "an update would have no questions. Lower it.",
    );
  }
  if ((train.keepBest === "sampled" || train.keepBest === "average") && train.evalModes === "greedy") {
    throw new UserError(
      `train.keepBest is ${train.keepBest}, which needs evaluations at temperature 1, but train.evalModes is greedy. ` +
        "Set train.evalModes=both or train.keepBest=greedy.",
    );
  }
}

/**
 * Applies `group.key=value` settings from a command line; values are JSON, and text needs no quotes.
 * @throws UserError for a setting without `=`, an unknown key or a value of the wrong type
 */
export function applySets(config: ConfigInput, sets: readonly string[]): ConfigInput {
  const result = structuredClone(config) as Record<string, Record<string, unknown>>;
  for (const set of sets) {
    const equals = set.indexOf("=");
    if (equals < 1)
      throw new UserError(`--set ${set} has no value. Write --set group.key=value, for example --set train.steps=20.`);
    const [group, key, ...rest] = set.slice(0, equals).trim().split(".");
    const schema = (fields as Record<string, Record<string, z.ZodDefault<z.ZodType>>>)[group]?.[key];
    if (schema === undefined) throw unknownKey(set.slice(0, equals).trim(), "--set");
    const value = set.slice(equals + 1);
    result[group] ??= {};
    if (rest.length === 0) result[group][key] = readValue(schema, value, set);
    else result[group][key] = setInside(schema, result[group][key], rest.join("."), value, set);
  }
  return result as ConfigInput;
}

/** `reward.weights.NAME=0.5` changes one entry and keeps the others, defaults included. */
function setInside(schema: z.ZodDefault<z.ZodType>, before: unknown, name: string, text: string, set: string): unknown {
  if (!(schema.unwrap() instanceof z.ZodRecord)) throw unknownKey(set.slice(0, set.indexOf("=")), "--set");
  const entries = (before ?? schema.parse(undefined)) as Record<string, unknown>;
  return checked(schema, { ...entries, [name]: parseJson(text) }, set);
}

function readValue(schema: z.ZodDefault<z.ZodType>, text: string, set: string): unknown {
  const isText = schema.unwrap() instanceof z.ZodString || schema.unwrap() instanceof z.ZodEnum;
  return checked(schema, isText ? text : parseJson(text), set);
}

function checked(schema: z.ZodType, value: unknown, set: string): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const why = result.error.issues[0].message.replace(/\.$/, "");
  throw new UserError(`--set ${set} cannot be used: ${why}. Expected ${typeOf(schema)}.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** `over` on top of `base`, key by key inside each group. */
export function mergeConfig(base: ConfigInput, over: ConfigInput): ConfigInput {
  const result: Record<string, unknown> = { ...base };
  for (const [group, keys] of Object.entries(over)) result[group] = { ...(result[group] ?? {}), ...keys };
  return result as ConfigInput;
}

/** The configuration, where a budget is `auto` with that of another, which may have been measured. */
export function withBudgetsOf(config: Config, other: Pick<Config, "rollout">): Config {
  const measured = budgetKeys.flatMap((key) => (config.rollout[key] === "auto" ? [[key, other.rollout[key]]] : []));
  return { ...config, rollout: { ...config.rollout, ...(Object.fromEntries(measured) as Partial<Config["rollout"]>) } };
}

/** The configuration, where its precision is `auto` with the one that was chosen; float32 where nobody knows of any. */
export function withPrecision(config: Config, chosen: Config["run"]["precision"] = "float32"): Config {
  return config.run.precision === "auto" ? { ...config, run: { ...config.run, precision: chosen } } : config;
}

/** Paths of the keys in which two configurations differ. */
export function configDifferences(a: Config, b: Config): string[] {
  const valueAt = (config: Config, path: string): string => {
    const [group, key] = path.split(".");
    return JSON.stringify((config as unknown as Record<string, Record<string, unknown>>)[group][key]);
  };
  return configKeys()
    .map((key) => key.path)
    .filter((path) => valueAt(a, path) !== valueAt(b, path));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
